// Dollars as people type them, to whole nano-dollars and back, exactly.
import type { Int64 } from "@/api/types";

const kNanosPerDollar = 1_000_000_000n;

// Null: no amount of dollars, or finer than a nano-dollar.
export function parseDollars(text: string): Int64 | null {
  const match = /^\$?\s*(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (match === null) return null;
  return (BigInt(match[1]!) * kNanosPerDollar + BigInt((match[2] ?? "").padEnd(9, "0"))).toString();
}

// "1.25", without trailing zeros: what parseDollars takes back.
export function dollarsText(nanos: Int64): string {
  const value = BigInt(nanos);
  const fraction = (value % kNanosPerDollar).toString().padStart(9, "0").replace(/0+$/, "");
  return `${value / kNanosPerDollar}${fraction === "" ? "" : `.${fraction}`}`;
}
