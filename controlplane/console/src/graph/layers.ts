// A layered layout, downwards along the flow. An element's rank is its longest way from the start, so that branches of
// equal depth are level. A line that passes ranks has a bend in each, which keeps room for it between the blocks. Ranks
// are ordered for few crossings, then placed so that what a limit or model leads to first stands straight below it.
import { nodeHeight, nodeWidth, shownOutputs } from "./elements";
import { typeOf, type FlowEdge, type Graph, type Position } from "./model";

// A block, or a line's bend, which has no width.
interface Cell {
  key: string; // a bend's is where its line leads
  bend: boolean;
  end: boolean; // where a walk ends
  width: number;
  height: number;
  rank: number;
  at: number; // its place in the rank, from 0
  x: number; // of its middle
  up: Link[];
  down: Link[];
}

interface Link {
  from: Cell;
  to: Cell;
  port: number; // where it leaves `from`, 0 to 1
  pull: number; // how much it wants to be upright
}

const kBendGap = 24; // of a line to a block
const kLineGap = 14; // of two lines that lead apart
const kBendsMax = 12; // a longer line goes around the outside
const kFixed = 1e6;
const kOwnCrossing = 3; // lines that cross at the block they leave are worse than others
const kOrderSweeps = 8;
const kPlaceSweeps = 24;
const kStraight = 4; // pull of what a limit or model leads to first

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
  const { layers, cells } = cellsOf(graph, edges);
  order(layers);
  place(layers, gapX);
  const left = Math.min(...cells.map((cell) => cell.x - cell.width / 2));
  const positions: Record<string, Position> = {};
  let y = 0;
  for (const layer of layers) {
    for (const cell of layer) if (!cell.bend) positions[cell.key] = { x: Math.round(cell.x - cell.width / 2 - left), y };
    y += Math.max(...layer.map((cell) => cell.height)) + gapY;
  }
  return positions;
}

// The ranks' cells in the order in which a walk along the outputs comes by, linked.
function cellsOf(graph: Graph, edges: readonly FlowEdge[]): { layers: Cell[][]; cells: Cell[] } {
  const ranks = ranksOf(graph, edges);
  const layers: Cell[][] = Array.from({ length: Math.max(-1, ...ranks.values()) + 1 }, () => []);
  const add = (key: string, rank: number, block?: { width: number; height: number; end: boolean }): Cell => {
    const cell = { key, bend: !block, width: 0, height: 0, end: false, ...block, rank, at: layers[rank]!.length, x: 0, up: [], down: [] };
    layers[rank]!.push(cell);
    return cell;
  };
  const link = (from: Cell, to: Cell, port: number, pull: number) => {
    const made = { from, to, port, pull };
    from.down.push(made);
    to.up.push(made);
  };
  const cells = new Map<string, Cell>();
  const elements = new Map(graph.elements.map((element) => [element.key, element]));
  const walk = (key: string): Cell => {
    const known = cells.get(key);
    if (known) return known;
    const element = elements.get(key)!;
    const cell = add(key, ranks.get(key)!, { width: nodeWidth(element), height: nodeHeight(element), end: typeOf(element) === "end" });
    cells.set(key, cell);
    const outputs = shownOutputs(element);
    const fair = typeOf(element) !== "rate" && typeOf(element) !== "model";
    const own = edges.filter((edge) => edge.from === key).sort((a, b) => outputs.indexOf(a.output) - outputs.indexOf(b.output));
    for (const { to, output } of own) {
      const rank = ranks.get(to)!;
      const bends = rank - cell.rank - 1;
      if (bends < 0 || bends > kBendsMax) {
        walk(to);
        continue;
      }
      const index = outputs.indexOf(output);
      const port = (index + 0.5) / outputs.length;
      const pull = fair ? 2 : index === 0 ? kStraight : 0.3;
      let before = cell;
      for (let bend = 1; bend <= bends; ++bend) {
        const next = add(to, cell.rank + bend);
        link(before, next, before === cell ? port : 0.5, before === cell ? pull : 6);
        before = next;
      }
      link(before, walk(to), before === cell ? port : 0.5, pull);
    }
    return cell;
  };
  for (const element of graph.elements) walk(element.key);
  return { layers, cells: [...cells.values()] };
}

// Sorts each rank by where its cells' neighbours are, down and up in turn, and keeps the order of fewest crossings.
function order(layers: Cell[][]): void {
  let best = layers.map((layer) => [...layer]);
  let least = crossings(layers);
  for (let sweep = 0; sweep < kOrderSweeps && least > 0; ++sweep) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      const wanted = new Map(
        layer.map((cell) => {
          const places = down ? cell.up.map(({ from, port }) => from.at + port) : cell.down.map(({ to, port }) => to.at + 0.5 - port / 100);
          return [cell, places.length === 0 ? cell.at + 0.5 : mean(places)];
        }),
      );
      layer.sort((a, b) => wanted.get(a)! - wanted.get(b)!);
      layer.forEach((cell, at) => (cell.at = at));
    }
    const now = crossings(layers);
    if (now >= least) continue;
    least = now;
    best = layers.map((layer) => [...layer]);
  }
  best.forEach((layer, rank) => {
    layers[rank] = layer;
    layer.forEach((cell, at) => (cell.at = at));
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function crossings(layers: readonly Cell[][]): number {
  let count = 0;
  for (const layer of layers) {
    const links = layer.flatMap((cell) => cell.down).map(({ from, to, port }) => ({ from, top: from.at + port, bottom: to.at }));
    links.forEach((a, index) => {
      for (const b of links.slice(index + 1)) {
        if ((a.top - b.top) * (a.bottom - b.bottom) < 0) count += a.from === b.from ? kOwnCrossing : 1;
      }
    });
  }
  return count;
}

function gapOf(a: Cell, b: Cell, gapX: number): number {
  if (a.bend && b.bend) return a.key === b.key ? 0 : kLineGap;
  return a.bend || b.bend ? kBendGap : gapX;
}

// Moves every cell to where its links pull it, as near as the order of its rank lets it; then makes columns upright.
function place(layers: readonly Cell[][], gapX: number): void {
  for (const layer of layers) settle(layer, layer.map(() => ({ wanted: 0, weight: 1 })), gapX);
  for (let sweep = 0; sweep < kPlaceSweeps; ++sweep) pullAll(layers, gapX, sweep % 2 === 0, sweep >= kPlaceSweeps / 2);
  const columns = columnsOf(layers);
  for (const column of columns) straighten(column, layers, gapX);
  const fixed = new Set(columns.flat());
  for (let sweep = 0; sweep < kPlaceSweeps / 2; ++sweep) pullAll(layers, gapX, sweep % 2 === 0, true, fixed);
}

function pullAll(layers: readonly Cell[][], gapX: number, down: boolean, both: boolean, fixed?: ReadonlySet<Cell>): void {
  for (const layer of down ? layers : [...layers].reverse()) {
    const pulls = layer.map((cell) => {
      if (fixed?.has(cell)) return { wanted: cell.x, weight: kFixed };
      const links = [
        ...(down || both ? cell.up.map(({ from, pull }) => ({ x: from.x, pull })) : []),
        ...(!down || both ? cell.down.map(({ to, pull }) => ({ x: to.x, pull })) : []),
      ];
      const weight = links.reduce((sum, { pull }) => sum + pull, 0);
      if (weight === 0) return { wanted: cell.x, weight: 0.01 };
      return { wanted: links.reduce((sum, { x, pull }) => sum + x * pull, 0) / weight, weight };
    });
    settle(layer, pulls, gapX);
  }
}

// Blocks one below the other, each what the one above leads to first, with the bends between them. Where everything ends
// is in no column: it stands in the middle of what leads there.
function columnsOf(layers: readonly Cell[][]): Cell[][] {
  const taken = new Set<Cell>();
  const columns: Cell[][] = [];
  for (const head of layers.flat()) {
    const column: Cell[] = [];
    for (let cell: Cell | undefined = head; cell && !cell.end && !taken.has(cell); ) {
      taken.add(cell);
      column.push(cell);
      cell = cell.bend ? cell.down[0]?.to : cell.down.find(({ pull }) => pull === kStraight)?.to;
    }
    if (!head.bend && column.length > 1) columns.push(column);
  }
  return columns;
}

// Moves a column's cells above each other where their neighbours leave room for that; bends make way.
function straighten(column: readonly Cell[], layers: readonly Cell[][], gapX: number): void {
  let left = -Infinity;
  let right = Infinity;
  for (const cell of column) {
    const layer = layers[cell.rank]!;
    const before = layer.slice(0, cell.at).filter((other) => !other.bend).at(-1);
    const after = layer.slice(cell.at + 1).find((other) => !other.bend);
    const room = (a: Cell, b: Cell) => (a.width + b.width) / 2 + (b.at - a.at === 1 ? gapX : 2 * kBendGap);
    if (before) left = Math.max(left, before.x + room(before, cell));
    if (after) right = Math.min(right, after.x - room(cell, after));
  }
  if (left > right) return;
  const x = Math.min(Math.max(mean(column.map((cell) => cell.x)), left), right);
  for (const cell of column) cell.x = x;
}

// The places nearest to the wanted ones, by weighted squares, that keep the order and the gaps: neighbours that would
// touch become one block with a common wish.
function settle(layer: readonly Cell[], pulls: readonly { wanted: number; weight: number }[], gapX: number): void {
  const offsets: number[] = [];
  layer.forEach((cell, index) => {
    const before = layer[index - 1];
    offsets.push(before ? offsets[index - 1]! + before.width / 2 + gapOf(before, cell, gapX) + cell.width / 2 : 0);
  });
  const blocks: { wish: number; weight: number; count: number }[] = [];
  pulls.forEach(({ wanted, weight }, index) => {
    let block = { wish: wanted - offsets[index]!, weight, count: 1 };
    for (let last = blocks.at(-1); last && last.wish > block.wish; last = blocks.at(-1)) {
      blocks.pop();
      const sum = last.weight + block.weight;
      block = { wish: (last.wish * last.weight + block.wish * block.weight) / sum, weight: sum, count: last.count + block.count };
    }
    blocks.push(block);
  });
  let index = 0;
  for (const { wish, count } of blocks) {
    for (let one = 0; one < count; ++one, ++index) layer[index]!.x = wish + offsets[index]!;
  }
}
