// The server's list of changes as marks on the two graphs.
import type { ElementChange } from "@/api/types";
import { edgeId, type EdgeMark, type ElementMark } from "@/graph/canvas/marks";
import { edgesOf, findById, type Graph } from "@/graph/model";

export interface ChangedElement {
  elementId: string;
  kind: "added" | "removed" | "changed";
  parts: ElementChange[];
}

const kindOf = (change: ElementChange): ChangedElement["kind"] =>
  change.kind === "ADDED" ? "added" : change.kind === "REMOVED" ? "removed" : "changed";

export function groupChanges(changes: readonly ElementChange[]): ChangedElement[] {
  const groups = new Map<string, ChangedElement>();
  for (const change of changes) {
    const group = groups.get(change.elementId) ?? { elementId: change.elementId, kind: kindOf(change), parts: [] };
    group.parts.push(change);
    groups.set(change.elementId, group);
  }
  return [...groups.values()];
}

export function marksOf(graph: Graph, changes: readonly ElementChange[], side: "before" | "after") {
  const elements = new Map<string, ElementMark>();
  const edges = new Map<string, EdgeMark>();
  const edgeMark: EdgeMark = side === "before" ? "removed" : "added";
  for (const group of groupChanges(changes)) {
    const element = findById(graph, group.elementId);
    if (!element) continue;
    elements.set(element.key, { change: group.kind });
    for (const edge of edgesOf(graph)) {
      if (edge.from !== element.key) continue;
      const touched = group.kind !== "changed" || group.parts.some((part) => isOutput(part.path, edge.output));
      if (touched) edges.set(edgeId(edge.from, edge.output), edgeMark);
    }
  }
  return { elements, edges };
}

// outputs.true, or outputs["10%"] where the name needs quotes.
function isOutput(path: string, output: string): boolean {
  return path === "outputs" || [`outputs.${output}`, `outputs["${output}"]`, `outputs['${output}']`].some((start) => path.startsWith(start));
}
