// Places for elements: the layered layout for those that have none, and a last pass that pushes apart what touches, which
// matters where some elements keep the places their author gave them.
import { nodeHeight, nodeWidth } from "./elements";
import { layerGraph } from "./layers";
import { edgesOf, findByKey, type Graph, type Position, type Positions } from "./model";

export const kGapX = 36;
export const kGapY = 54;

export const layoutGraph = (graph: Graph): Positions => spread(graph, layerGraph(graph, edgesOf(graph), kGapX, kGapY));

// The given places, and new ones for elements that have none: below what leads to them, else below everything.
export function completePositions(graph: Graph, known: Positions): Positions {
  const missing = graph.elements.filter((element) => known[element.key] === undefined);
  if (missing.length === 0) return known;
  if (missing.length * 2 >= graph.elements.length) return layoutGraph(graph);
  const positions: Record<string, Position> = { ...known };
  const edges = edgesOf(graph);
  for (const element of missing) {
    const source = edges.find((edge) => edge.to === element.key && positions[edge.from]);
    const from = source && positions[source.from];
    const lowest = Math.max(0, ...graph.elements.flatMap((other) => {
      const at = positions[other.key];
      return at ? [at.y + nodeHeight(other) + kGapY] : [];
    }));
    positions[element.key] = from ? { x: from.x, y: from.y + nodeHeight(findByKey(graph, source!.from)!) + kGapY } : { x: 0, y: lowest };
  }
  return spread(graph, positions, new Set(missing.map((element) => element.key)));
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const overlap = (a: Box, b: Box, gap = 0) =>
  a.x < b.x + b.width + gap && b.x < a.x + a.width + gap && a.y < b.y + b.height + gap && b.y < a.y + a.height + gap;

export function boxesOf(graph: Graph, positions: Positions): (Box & { key: string })[] {
  return graph.elements.flatMap((element) => {
    const at = positions[element.key];
    return at ? [{ key: element.key, x: at.x, y: at.y, width: nodeWidth(element), height: nodeHeight(element) }] : [];
  });
}

// A free place for one more box, at `at` or to its right.
export function freePlace(graph: Graph, positions: Positions, at: Position, size: { width: number; height: number }): Position {
  const boxes = boxesOf(graph, positions);
  const box: Box = { ...at, ...size };
  for (;;) {
    const hit = boxes.find((other) => overlap(box, other, 12));
    if (!hit) return { x: box.x, y: box.y };
    box.x = hit.x + hit.width + kGapX;
  }
}

// Moves boxes down until none overlap; only those of `movable`, if given.
function spread(graph: Graph, positions: Positions, movable?: ReadonlySet<string>): Positions {
  const boxes = boxesOf(graph, positions).sort((a, b) => a.y - b.y || a.x - b.x);
  const placed = movable ? boxes.filter((box) => !movable.has(box.key)) : [];
  const result: Record<string, Position> = { ...positions };
  for (const box of boxes) {
    if (movable && !movable.has(box.key)) continue;
    for (;;) {
      const hit = placed.find((other) => overlap(box, other, 8));
      if (!hit) break;
      box.y = hit.y + hit.height + kGapY;
    }
    placed.push(box);
    result[box.key] = { x: box.x, y: box.y };
  }
  return result;
}
