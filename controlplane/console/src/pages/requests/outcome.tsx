import type { Outcome, SpendRecord } from "@/api/types";
import { Badge, type BadgeTone } from "@/ui/Badge";

export const kOutcomes: Record<Exclude<Outcome, "OUTCOME_UNSPECIFIED">, { label: string; tone: BadgeTone; about: string }> = {
  SUCCESS: { label: "answered", tone: "ok", about: "A model answered, or the cache did." },
  REFUSED: { label: "refused", tone: "warn", about: "By the gateway: a limit, a condition, the key, or bad input." },
  ERROR: { label: "failed", tone: "bad", about: "No model answered, or the answer broke off." },
  CANCELLED: { label: "cancelled", tone: "neutral", about: "The client left." },
  TIMEOUT: { label: "timed out", tone: "bad", about: "No answer came in time." },
  SHUTDOWN: { label: "shut down", tone: "bad", about: "The proxy stopped before the request ended." },
  SUSPENDED: { label: "unknown", tone: "warn", about: "The proxy vanished; charged its hold until the real record comes." },
};

export function OutcomeBadge({ record }: { record: SpendRecord }) {
  const look = record.outcome === "OUTCOME_UNSPECIFIED" ? undefined : kOutcomes[record.outcome];
  if (look === undefined) return <Badge>unknown</Badge>;
  return (
    <Badge tone={look.tone} dot title={look.about}>
      {look.label}
    </Badge>
  );
}
