// Figures as people read them. Amounts arrive as whole nano-dollars or microseconds in text and never pass a float before
// they are rounded for show.
import type { Int64, Unit } from "@/api/types";

const kNanosPerDollar = 1_000_000_000n;

const whole = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const big = (value: Int64 | number | undefined): bigint => BigInt(value === undefined || value === "" ? 0 : value);

export const formatCount = (value: Int64 | number | undefined) => whole.format(big(value));
export const formatCompact = (value: Int64 | number | undefined) => compact.format(Number(value ?? 0));

// $1,234.56; below a dollar as many decimals as tell something, nine at most: $0.00004275.
export function formatNanos(value: Int64 | number | undefined): string {
  const nanos = big(value);
  const sign = nanos < 0n ? "−" : "";
  const size = nanos < 0n ? -nanos : nanos;
  const dollars = size / kNanosPerDollar;
  const fraction = (size % kNanosPerDollar).toString().padStart(9, "0");
  if (size === 0n) return "$0";
  if (dollars >= 1n) {
    const cents = (size + 5_000_000n) / 10_000_000n;
    return `${sign}$${whole.format(cents / 100n)}.${(cents % 100n).toString().padStart(2, "0")}`;
  }
  const leading = fraction.length - fraction.replace(/^0+/, "").length;
  const kept = fraction.slice(0, Math.max(4, Math.min(9, leading + 4))).replace(/0+$/, "");
  return `${sign}$0.${kept.padEnd(2, "0")}`;
}

// Every nano-dollar, for tooltips and exports.
export function exactNanos(value: Int64 | undefined): string {
  const nanos = big(value);
  const size = nanos < 0n ? -nanos : nanos;
  return `${nanos < 0n ? "-" : ""}${size / kNanosPerDollar}.${(size % kNanosPerDollar).toString().padStart(9, "0")}`;
}

export function formatAmount(value: Int64 | undefined, unit: Unit): string {
  if (unit === "NANO_DOLLARS") return formatNanos(value);
  return `${formatCount(value)} ${unit === "TOKENS" ? "tokens" : "requests"}`;
}

export function formatMicros(value: Int64 | number | undefined): string {
  const us = Number(value ?? 0);
  if (us < 1_000) return `${us} µs`;
  if (us < 10_000) return `${(us / 1_000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1_000)} ms`;
  if (us < 60_000_000) return `${(us / 1_000_000).toFixed(2)} s`;
  return formatSeconds(Math.round(us / 1_000_000));
}

export function formatSeconds(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export const fromMicros = (value: Int64 | undefined) => new Date(Number(big(value) / 1_000n));
export const toMicros = (date: Date): Int64 => (BigInt(date.getTime()) * 1_000n).toString();
export const formatTime = (date: Date) => absolute.format(date);
export const formatClock = (date: Date) => timeOnly.format(date);
export const formatDayTime = (date: Date) => dayAndTime.format(date);

export function formatAgo(date: Date, now = Date.now()): string {
  const seconds = (date.getTime() - now) / 1_000;
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  if (size < 60) return relative.format(Math.round(seconds), "second");
  if (size < 3_600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.round(seconds / 3_600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

export const formatPercent = (part: number, digits = 1) => `${(part * 100).toFixed(digits).replace(/\.0+$/, "")}%`;

export const plural = (count: number | bigint, one: string, many = `${one}s`) => `${whole.format(count)} ${count === 1 || count === 1n ? one : many}`;
