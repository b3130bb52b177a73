// Limits and how full their counters are.
import { counters as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { DeployedLimit, Int64, LimitCounter, Unit } from "@/api/types";
import { useApi } from "@/api/useApi";
import { big, formatAmount, formatSeconds } from "@/ui/format";

export const kLimitsPollMs = 5_000;

export function useLimits(gateway: string) {
  return useApi(
    ["limits", gateway],
    (signal) => allPages((pageToken) => api.limits(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.limits),
    { pollMs: kLimitsPollMs },
  );
}

// Used of the limit, 0 to more than 1, exact to a millionth: what is settled, held and in suspense counts.
export function fullness(counter: LimitCounter | undefined, limit: Int64 | undefined): number {
  const most = big(counter?.limit ?? limit);
  const used = big(counter?.counter?.used);
  if (most <= 0n) return used > 0n ? 1 : 0;
  return Number((used * 1_000_000n) / most) / 1_000_000;
}

export const fullestOf = (limit: DeployedLimit) => fullness(limit.fullest[0], limit.limit);

// "86400 s" is a day to people; calendar windows come as words.
export function windowText(window: string): string {
  const seconds = /^(\d+) s$/.exec(window);
  if (!seconds) return window.replace(/^(day|month) \((.*)\)$/, "calendar $1 in $2");
  const known: Record<string, string> = { "60": "minute", "3600": "hour", "86400": "day", "604800": "week" };
  return known[seconds[1]!] ?? formatSeconds(Number(seconds[1]));
}

export const limitText = (limit: DeployedLimit) => `${formatAmount(limit.limit, limit.unit)} per ${windowText(limit.window)}`;

export const unitOf = (counter: LimitCounter): Unit => counter.counter?.key?.unit ?? "UNIT_UNSPECIFIED";

// A combination's identifier is told as a JSON array.
export function identifierParts(counter: LimitCounter): string[] {
  const count = counter.counter?.key?.identifier.length ?? 1;
  if (count <= 1) return [counter.identifier];
  try {
    const parts = JSON.parse(counter.identifier) as unknown[];
    return parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part)));
  } catch {
    return [counter.identifier];
  }
}

export function identifierTypes(counter: LimitCounter): string[] {
  return (counter.counter?.key?.identifier ?? []).map((value) => (value.numberValue !== undefined ? "number" : value.boolValue !== undefined ? "bool" : "string"));
}

export const identifierText = (counter: LimitCounter) => identifierParts(counter).join(", ") || "everyone together";
