// The way of a line from an output's dot down to the block that it leads to: a plain curve where nothing is between, else
// down a lane beside what is in the way. A line that leads upwards always takes a lane.
import type { Box } from "./layout";
import type { Position } from "./model";

const kTurn = 40; // height of the curve into a lane and out of it
const kBeside = 14; // between a lane and a block
const kTouch = 4; // nearer than that a curve hits a block
const kLeave = 3; // the way to a lane weighs more than the way from it: a line stays on its output's side
const kAcross = 300; // the weight of a lane on the other side of its own block, across that one's other outputs
const kHalvings = 12;

// A cubic whose ends are upright; a bend is how far an end runs on so.
const curve = (from: Position, to: Position, bend: number, bendTo = bend) =>
  `C${from.x} ${from.y + bend} ${to.x} ${to.y - bendTo} ${to.x} ${to.y}`;

// Where on its way, from 0 to 1, the plain curve has come so far down, of its height; by halving.
function whereAt(part: number): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < kHalvings; ++step) {
    const t = (low + high) / 2;
    if (t * (1.5 - 1.5 * t + t * t) < part) low = t;
    else high = t;
  }
  return low;
}

// Whether the plain curve, which only ever goes down and to one side, comes near a box.
function hits(from: Position, to: Position, box: Box): boolean {
  const left = box.x - kTouch;
  const right = box.x + box.width + kTouch;
  if (left > Math.max(from.x, to.x) || right < Math.min(from.x, to.x)) return false;
  if (box.y >= to.y || box.y + box.height <= from.y) return false;
  const height = to.y - from.y;
  const [above, below] = [box.y, box.y + box.height].map((y) => {
    const t = whereAt(Math.min(1, Math.max(0, (y - from.y) / height)));
    return from.x + (to.x - from.x) * t * t * (3 - 2 * t);
  }) as [number, number];
  return Math.max(above, below) > left && Math.min(above, below) < right;
}

// The upright that is free of boxes from `top` to `bottom` and on which the way from one x to the other is shortest.
// `middle`: of the block that the line leaves.
function laneBeside(boxes: readonly Box[], top: number, bottom: number, from: number, to: number, middle: number): number {
  let best = from;
  let least = Infinity;
  let free = -Infinity; // where the gap begins that the next box ends
  const look = (left: number, right: number) => {
    if (left > right) return;
    for (const wanted of [from, to]) {
      const lane = Math.min(Math.max(wanted, left), right);
      const across = (from - middle) * (lane - middle) < 0 ? kAcross : 0;
      const way = kLeave * Math.abs(from - lane) + Math.abs(to - lane) + across;
      if (way >= least - 0.5) continue;
      least = way;
      best = lane;
    }
  };
  for (const box of boxes) {
    if (box.y >= bottom || box.y + box.height <= top) continue;
    look(free, box.x - kBeside);
    free = Math.max(free, box.x + box.width + kBeside);
  }
  look(free, Infinity);
  return best;
}

function isFree(from: Position, to: Position, boxes: readonly Box[]): boolean {
  const end = Math.max(from.x, to.x) + kTouch;
  for (const box of boxes) {
    if (box.x > end) return true;
    if (hits(from, to, box)) return false;
  }
  return true;
}

// Of the block whose lower edge the line leaves.
function middleOf(from: Position, boxes: readonly Box[]): number {
  const own = boxes.find((box) => box.x < from.x && from.x < box.x + box.width && Math.abs(box.y + box.height - from.y) < kTurn / 2);
  return own ? own.x + own.width / 2 : from.x;
}

// The path of an SVG line; `boxes` are sorted by their left edge.
export function linePath(from: Position, to: Position, boxes: readonly Box[]): string {
  const height = to.y - from.y;
  const start = `M${from.x} ${from.y}`;
  if (height <= 0) {
    const lane = laneBeside(boxes, to.y - kTurn, from.y + kTurn, from.x, to.x, middleOf(from, boxes));
    const end = { x: lane, y: to.y };
    return `${start}${curve(from, { x: lane, y: from.y }, kTurn, -kTurn)}L${lane} ${to.y}${curve(end, to, -kTurn, kTurn)}`;
  }
  if (isFree(from, to, boxes)) return start + curve(from, to, height / 2);
  const turn = Math.min(kTurn, height / 2);
  const lane = laneBeside(boxes, from.y, to.y, from.x, to.x, middleOf(from, boxes));
  const end = { x: lane, y: to.y - turn };
  return `${start}${curve(from, { x: lane, y: from.y + turn }, turn / 2)}L${lane} ${end.y}${curve(end, to, turn / 2)}`;
}
