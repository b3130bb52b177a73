// A request's path as steps with what happened at each: from the record, and, where the version is known, its graph.
import type { SpendRecord } from "@/api/types";
import { formatMicros } from "@/ui/format";

export type StepTone = "plain" | "ok" | "warn" | "bad";

export interface Step {
  id: string;
  type: string; // of the element; empty: not known
  tone: StepTone;
  text: string;
}

interface GraphElement {
  type: string;
  outputs: Map<string, string>; // by name, the element it leads to
}
export type Graph = Map<string, GraphElement>;

export function graphOf(json: string): Graph {
  const graph: Graph = new Map();
  try {
    const { elements } = JSON.parse(json) as { elements?: { id: string; type: string; outputs?: Record<string, { elementId?: string }> }[] };
    for (const { id, type, outputs } of elements ?? []) {
      graph.set(id, { type, outputs: new Map(Object.entries(outputs ?? {}).map(([name, to]) => [name, to.elementId ?? ""])) });
    }
  } catch {
    // A version whose JSON is none is shown by its path alone.
  }
  return graph;
}

export function stepsOf(record: SpendRecord, graph: Graph): Step[] {
  const ids = record.path.split("/").filter((id) => id !== "");
  return ids.map((id, index) => stepOf(record, graph, id, ids[index + 1], index));
}

// A combination's identifier is told as a JSON array.
export function identifierWords(identifier: string): string {
  if (!identifier.startsWith("[")) return identifier;
  try {
    const parts = JSON.parse(identifier) as unknown;
    return Array.isArray(parts) ? parts.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(", ") : identifier;
  } catch {
    return identifier;
  }
}

function stepOf(record: SpendRecord, graph: Graph, id: string, next: string | undefined, index: number): Step {
  const element = graph.get(id);
  const attempts = record.attempts.filter((attempt) => attempt.elementId === id);
  const limit = record.limits.find((passed) => passed.elementId === id);
  const type = element?.type ?? (attempts.length > 0 ? "model" : limit ? "rate" : index === 0 ? "start" : "");
  const leaves = next === undefined ? "" : outputTo(element, next);
  if (attempts.length > 0) {
    const last = attempts[attempts.length - 1]!;
    const answered = last.error === "" && last.status >= 200 && last.status < 300;
    const told = attempts.map((attempt) => (attempt.error ? attempt.error : String(attempt.status))).join(", then ");
    const took = formatMicros(attempts.reduce((sum, attempt) => sum + Number(attempt.durationUs), 0));
    return { id, type, tone: answered ? "ok" : "bad", text: `${last.provider}/${last.model}: ${attempts.length > 1 ? `${attempts.length} tries, ` : ""}${told} in ${took}` };
  }
  if (limit) {
    const who = identifierWords(limit.identifier) || "everyone together";
    if (limit.denied) return { id, type, tone: "warn", text: `over the limit for ${who}` };
    if (limit.shadowDenied) return { id, type, tone: "warn", text: `would have been over the limit for ${who}; it only watches` };
    return { id, type, tone: "ok", text: `within the limit for ${who}` };
  }
  if (type === "start") return { id, type, tone: "plain", text: "" };
  if (type === "end") return { id, type, tone: endTone(record), text: `status ${record.status}${record.errorCode ? `, ${record.errorCode}` : ""}` };
  if (type === "model") return { id, type, tone: "plain", text: record.cache === "HIT" ? "answered from the cache" : "not called" };
  return { id, type, tone: "plain", text: leaves === "" ? "" : type === "percentage" ? `drew ${leaves}` : leaves };
}

function outputTo(element: GraphElement | undefined, next: string): string {
  const names = [...(element?.outputs ?? [])].filter(([, to]) => to === next).map(([name]) => name);
  return names.join(" or ");
}

function endTone({ outcome }: SpendRecord): StepTone {
  return outcome === "SUCCESS" ? "ok" : outcome === "REFUSED" ? "warn" : outcome === "CANCELLED" ? "plain" : "bad";
}
