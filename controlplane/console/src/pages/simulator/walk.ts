// A walk through the graph as the simulator shows it, whether it was asked for (a dry run) or done (a live one).
import type { SimulateResponse } from "@/api/types";
import { edgeId, type EdgeMark, type ElementMark } from "@/graph/canvas/marks";
import { edgesOf, findById, outputsOf, targetOf, typeOf, type Graph } from "@/graph/model";
import { formatCount, formatNanos } from "@/ui/format";
import { graphOf, stepsOf } from "../requests/steps";
import type { LiveRun } from "./useLiveRun";

export interface WalkStep {
  id: string;
  type: string;
  output: string; // taken; empty: the walk ends here
  reason: string;
  hold?: string;
}

export interface Walk {
  steps: readonly WalkStep[];
  refused: boolean;
}

export function dryWalk(answer: SimulateResponse): Walk {
  const steps = answer.steps.map((step) => {
    const amount = step.holdNanos !== "0" ? formatNanos(step.holdNanos) : step.holdTokens !== "0" ? `${formatCount(step.holdTokens)} tokens` : "";
    const hold = amount && `holds ${amount} for ${step.identifier}${step.shadow ? ", as a shadow" : ""}`;
    return { id: step.elementId, type: step.type, output: step.output, reason: step.reason, hold };
  });
  return { steps, refused: answer.status >= 400 };
}

// Null until the answer's headers say which way it took. What happened at each element is in the record, which comes
// last. `json`: the graph's text.
export function liveWalk(run: Pick<LiveRun, "path" | "record" | "status" | "error">, graph: Graph, json: string): Walk | null {
  if (!run.path) return null;
  const refused = run.error !== undefined || (run.status ?? 0) >= 400;
  const ids = run.path.split("/");
  const told = run.record ? stepsOf(run.record, graphOf(json)) : [];
  const steps = ids.map((id, index) => {
    const element = findById(graph, id);
    const next = ids[index + 1];
    const ways = element ? Object.keys(outputsOf(element)).filter((output) => targetOf(element, output) === next) : [];
    // Where an element leads to the same place either way, the outcome tells the way.
    const output = (refused ? ways.at(-1) : ways[0]) ?? "";
    return { id, type: element ? typeOf(element) : "", output, reason: told[index]?.text ?? "" };
  });
  return { steps, refused };
}

// The elements passed, numbered and with their reasons, and the edges taken; all else steps back.
export function marksOf(graph: Graph, walk: Walk | null) {
  const elements = new Map<string, ElementMark>();
  const edges = new Map<string, EdgeMark>();
  if (!walk) return { elements, edges };
  for (const element of graph.elements) elements.set(element.key, { dim: true });
  for (const edge of edgesOf(graph)) edges.set(edgeId(edge.from, edge.output), "dim");
  walk.steps.forEach(({ id, reason, output }, index) => {
    const key = findById(graph, id)?.key;
    if (key === undefined) return;
    const bad = walk.refused && index === walk.steps.length - 1;
    elements.set(key, { step: index + 1, reason: reason || undefined, tone: bad ? "bad" : "ok" });
    if (output !== "") edges.set(edgeId(key, output), "lit");
  });
  return { elements, edges };
}
