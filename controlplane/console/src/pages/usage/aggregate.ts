// Rows of usage as series over time and as shares of a whole. Amounts stay whole numbers (BigInt) until they become a
// place on the screen.
import type { UsageDimension, UsageRow } from "@/api/types";
import { big } from "@/ui/format";

export type Metric = "spend" | "requests" | "tokens" | "errors" | "cache" | "latency";
export type Grouping = "route" | "version" | "model" | "provider" | "identifier" | "key";
export type Bucket = "minute" | "hour" | "day" | "month";

export const kRest = "everything else";

export interface Window {
  startMs: number;
  endMs: number;
  bucket: Bucket;
}

const kHourMs = 3_600_000;
const kDayMs = 24 * kHourMs;

// As fine as some two hundred bars allow.
export function bucketFor(spanMs: number): Bucket {
  if (spanMs <= 3 * kHourMs) return "minute";
  if (spanMs <= 7 * kDayMs) return "hour";
  if (spanMs <= 200 * kDayMs) return "day";
  return "month";
}

export function floorTo(bucket: Bucket, ms: number): number {
  const date = new Date(ms);
  if (bucket === "month") return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
  const size = bucket === "minute" ? 60_000 : bucket === "hour" ? kHourMs : kDayMs;
  return Math.floor(ms / size) * size;
}

function after(bucket: Bucket, ms: number): number {
  const date = new Date(ms);
  if (bucket === "month") return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
  return ms + (bucket === "minute" ? 60_000 : bucket === "hour" ? kHourMs : kDayMs);
}

// The start of every bucket of the window, those without a request too.
export function bucketsOf({ startMs, endMs, bucket }: Window): number[] {
  const result: number[] = [];
  for (let at = floorTo(bucket, startMs); at < endMs && result.length < 2_000; at = after(bucket, at)) result.push(at);
  return result;
}

export function tokensOf(row: UsageRow): bigint {
  return big(row.usage?.input) + big(row.usage?.output);
}

export function amountOf(row: UsageRow, metric: Metric): bigint {
  switch (metric) {
    case "spend":
      return big(row.costNanos);
    case "requests":
      return big(row.requests);
    case "tokens":
      return tokensOf(row);
    case "errors":
      return big(row.errors);
    case "cache":
      return big(row.cacheHits);
    case "latency":
      return big(row.latency?.p95Us);
  }
}

// What a row is of, as one text that tells it from others.
export function groupOf(row: UsageRow, by: Grouping): string {
  if (by === "version") return row.group.route ? `${row.group.route} v${row.group.version ?? "0"}` : "";
  return row.group[by] ?? "";
}

export interface Series {
  names: string[];
  points: { ms: number; values: Record<string, bigint> }[];
}

// One series a group, the largest `most` by their sum, the others together. Latencies do not add up: of them only the
// groups with the most requests are kept.
export function seriesOf(
  rows: readonly UsageRow[],
  window: Window,
  metric: Metric,
  nameOf: (row: UsageRow) => string,
  most = 5,
): Series {
  const weights = new Map<string, bigint>();
  for (const row of rows) {
    const name = nameOf(row);
    weights.set(name, (weights.get(name) ?? 0n) + amountOf(row, metric === "latency" ? "requests" : metric));
  }
  const ranked = [...weights].filter(([, weight]) => weight > 0n).sort((a, b) => compare(b[1], a[1]) || a[0].localeCompare(b[0]));
  const kept = new Set(ranked.slice(0, most).map(([name]) => name));
  const names = [...kept];
  if (ranked.length > most && metric !== "latency") names.push(kRest);
  const points = bucketsOf(window).map((ms) => ({ ms, values: {} as Record<string, bigint> }));
  const byTime = new Map(points.map((point) => [point.ms, point.values]));
  for (const row of rows) {
    const values = byTime.get(Date.parse(row.group[window.bucket] ?? ""));
    const name = nameOf(row);
    const into = kept.has(name) ? name : kRest;
    if (values === undefined || (into === kRest && !names.includes(kRest))) continue;
    values[into] = (values[into] ?? 0n) + amountOf(row, metric);
  }
  return { names, points };
}

export const compare = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

// part of whole, 0 to 1, exact to a millionth.
export function share(part: bigint, whole: bigint): number {
  return whole <= 0n ? 0 : Number((part * 1_000_000n) / whole) / 1_000_000;
}

export const kDimensions: Record<Grouping, UsageDimension> = {
  route: "route",
  version: "version",
  model: "model",
  provider: "provider",
  identifier: "identifier",
  key: "key",
};
