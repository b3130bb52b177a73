// What the proxies say of a provider, in one word and a sentence.
import type { ProviderStatus } from "@/api/types";
import type { BadgeTone } from "@/ui/Badge";
import { plural } from "@/ui/format";

export interface Health {
  tone: BadgeTone;
  label: string;
}

export function healthOf(statuses: readonly ProviderStatus[]): Health {
  if (statuses.length === 0) return { tone: "neutral", label: "not called yet" };
  const open = statuses.filter((status) => status.breaker === "OPEN").length;
  const probing = statuses.filter((status) => status.breaker === "HALF_OPEN").length;
  const ejected = statuses.filter((status) => status.ejected).length;
  if (open > 0) return { tone: "bad", label: `${plural(open, "breaker")} open` };
  if (ejected > 0) return { tone: "warn", label: `${plural(ejected, "endpoint")} set aside` };
  if (probing > 0) return { tone: "warn", label: "being probed" };
  if (statuses.some((status) => status.consecutiveFailures !== "0")) return { tone: "warn", label: "failing now and then" };
  return { tone: "ok", label: "healthy" };
}

// Calls of endpoints as a whole, so that none counts once more for its model.
export function failureShare(statuses: readonly ProviderStatus[]): { attempts: bigint; failures: bigint } {
  const whole = statuses.filter((status) => status.model === "");
  return {
    attempts: whole.reduce((sum, status) => sum + BigInt(status.attempts), 0n),
    failures: whole.reduce((sum, status) => sum + BigInt(status.failures), 0n),
  };
}
