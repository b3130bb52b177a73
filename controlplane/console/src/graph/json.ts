export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

// Where a parser stopped, as a line and column of the text; null when its message does not tell.
export function placeOf(message: string, text: string): { line: number; column: number } | null {
  const found = /position (\d+)/.exec(message);
  if (!found) return null;
  const before = text.slice(0, Number(found[1])).split("\n");
  return { line: before.length, column: (before[before.length - 1]?.length ?? 0) + 1 };
}
