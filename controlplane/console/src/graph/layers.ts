// A plain layered layout for large graphs, where dagre takes seconds: an element's rank is its longest way from the
// start, its place within the rank follows those that lead to it and those it leads to. Linear in edges and ranks.
import { nodeHeight, nodeWidth } from "./elements";
import type { FlowEdge, Graph, Position } from "./model";

interface Cell {
  key: string;
  width: number;
  height: number;
  x: number; // of the middle
}

const kSweeps = 6;

// How many steps each element is from the start, at most. An edge back to where the walk is counts for nothing.
export function ranksOf(graph: Graph, edges: readonly FlowEdge[]): Map<string, number> {
  const into = new Map<string, string[]>(graph.elements.map((element) => [element.key, []]));
  for (const edge of edges) into.get(edge.to)!.push(edge.from);
  const ranks = new Map<string, number>();
  const open = new Set<string>();
  const rank = (key: string): number => {
    const known = ranks.get(key);
    if (known !== undefined || open.has(key)) return known ?? -1;
    open.add(key);
    const result = Math.max(-1, ...into.get(key)!.map(rank)) + 1;
    open.delete(key);
    ranks.set(key, result);
    return result;
  };
  for (const element of graph.elements) rank(element.key);
  return ranks;
}

export function layerGraph(graph: Graph, edges: readonly FlowEdge[], gapX: number, gapY: number): Record<string, Position> {
  const ranks = ranksOf(graph, edges);
  const layers: Cell[][] = [];
  const cells = new Map<string, Cell>();
  for (const element of graph.elements) {
    const cell: Cell = { key: element.key, width: nodeWidth(element), height: nodeHeight(element), x: 0 };
    const rank = ranks.get(element.key)!;
    while (layers.length <= rank) layers.push([]);
    layers[rank]!.push(cell);
    cells.set(element.key, cell);
  }
  // Only neighbours in the next rank pull: what a whole graph fails to would draw everything to one line.
  const near = edges.filter((edge) => ranks.get(edge.to)! - ranks.get(edge.from)! === 1);
  const above = new Map<string, Cell[]>();
  const below = new Map<string, Cell[]>();
  for (const edge of near) {
    above.set(edge.to, [...(above.get(edge.to) ?? []), cells.get(edge.from)!]);
    below.set(edge.from, [...(below.get(edge.from) ?? []), cells.get(edge.to)!]);
  }
  layers.forEach((layer) => settle(layer, gapX));
  for (let sweep = 0; sweep < kSweeps; ++sweep) {
    const down = sweep % 2 === 0;
    const pull = down ? above : below;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const cell of layer) {
        const others = pull.get(cell.key) ?? [];
        if (others.length > 0) cell.x = others.reduce((sum, other) => sum + other.x, 0) / others.length;
      }
      settle(layer, gapX);
    }
  }
  const positions: Record<string, Position> = {};
  let y = 0;
  for (const layer of layers) {
    for (const cell of layer) positions[cell.key] = { x: Math.round(cell.x - cell.width / 2), y };
    y += Math.max(...layer.map((cell) => cell.height)) + gapY;
  }
  return positions;
}

// Puts a rank's cells side by side in the order of where they want to be, as near to that as the others let them.
function settle(layer: Cell[], gap: number): void {
  layer.sort((a, b) => a.x - b.x);
  const wanted = layer.map((cell) => cell.x);
  let edge = -Infinity;
  for (const cell of layer) {
    cell.x = Math.max(cell.x, edge + gap + cell.width / 2);
    edge = cell.x + cell.width / 2;
  }
  const drift = layer.reduce((sum, cell, index) => sum + cell.x - wanted[index]!, 0) / Math.max(1, layer.length);
  for (const cell of layer) cell.x -= drift;
}
