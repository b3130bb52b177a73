// A range of time in an address: the name of one that ends now, or its two ends.
import { toMicros } from "@/ui/format";

export interface TimeRange {
  startMs: number;
  endMs: number;
  live: boolean;  // ends now
}

const kHourMs = 3_600_000;

export const kRanges = [
  { value: "1h", label: "1 h", ms: kHourMs },
  { value: "24h", label: "24 h", ms: 24 * kHourMs },
  { value: "7d", label: "7 d", ms: 7 * 24 * kHourMs },
  { value: "30d", label: "30 d", ms: 30 * 24 * kHourMs },
  { value: "1y", label: "1 y", ms: 365 * 24 * kHourMs },
] as const;

export const kCustom = "custom";

// `from` and `to` are local times as an <input type="datetime-local"> has them.
export function rangeOf(name: string, from: string, to: string, nowMs: number): TimeRange | null {
  if (name === kCustom) {
    const startMs = Date.parse(from);
    const endMs = to === "" ? nowMs : Date.parse(to);
    if (Number.isNaN(startMs) || Number.isNaN(endMs) || startMs >= endMs) return null;
    return { startMs, endMs, live: to === "" };
  }
  const known = kRanges.find((range) => range.value === name);
  return known ? { startMs: nowMs - known.ms, endMs: nowMs, live: true } : null;
}

export const microsOf = (ms: number) => toMicros(new Date(ms));

export function localInput(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 16);
}
