// What a page adds to the drawing of an element or edge: faults, a walk's steps, a comparison.
export interface ElementMark {
  errors?: number;
  warnings?: number;
  faultText?: string;
  change?: "added" | "removed" | "changed";
  step?: number; // 1 for the first element walked
  reason?: string; // stands in place of the summary
  tone?: "ok" | "bad"; // of the step
  dim?: boolean;
  fresh?: boolean; // just added: drawn once with a short glow
}

export type ElementMarks = ReadonlyMap<string, ElementMark>; // by element key

export type EdgeMark = "lit" | "added" | "removed" | "dim";
export type EdgeMarks = ReadonlyMap<string, EdgeMark>; // by edgeId

export const edgeId = (from: string, output: string) => `${from}/${output}`;

export const kNoMarks: ElementMarks = new Map();
export const kNoEdgeMarks: EdgeMarks = new Map();

export function sameMark(a: ElementMark | undefined, b: ElementMark | undefined): boolean {
  if (a === b) return true;
  if (!a || !b) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof ElementMark>;
  return [...keys].every((key) => a[key] === b[key]);
}
