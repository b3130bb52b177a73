// A route's graph as the console edits it, and its JSON. An element keeps the object it was read from, so that what the
// console does not know survives an edit; `key` identifies it in the canvas whatever its id becomes, or when two share
// one. All values are immutable: an edit makes new ones.
import { isObject, placeOf, type Json, type JsonObject } from "./json";

export type ElementType = "start" | "conditional" | "percentage" | "rate" | "model" | "end";

export interface FlowElement {
  key: string;
  raw: JsonObject;
}

export interface Graph {
  name: string;
  elements: readonly FlowElement[];
  rest: JsonObject; // further members of the file
}

export interface Position {
  x: number;
  y: number;
}
export type Positions = Readonly<Record<string, Position>>; // by element key

export interface FlowEdge {
  from: string;
  output: string;
  to: string; // key; edges to elements that are not there have none
}

export const idOf = (element: FlowElement): string => (typeof element.raw.id === "string" ? element.raw.id : "");
export const typeOf = (element: FlowElement): string => (typeof element.raw.type === "string" ? element.raw.type : "");
export const propertiesOf = (element: FlowElement): JsonObject =>
  isObject(element.raw.properties) ? element.raw.properties : {};
export const outputsOf = (element: FlowElement): JsonObject => (isObject(element.raw.outputs) ? element.raw.outputs : {});

// The id that an output leads to; null: nowhere.
export function targetOf(element: FlowElement, output: string): string | null {
  const value = outputsOf(element)[output];
  return isObject(value) && typeof value.elementId === "string" ? value.elementId : null;
}

export const findByKey = (graph: Graph, key: string) => graph.elements.find((element) => element.key === key);
export const findById = (graph: Graph, id: string) => graph.elements.find((element) => idOf(element) === id);

export function edgesOf(graph: Graph): FlowEdge[] {
  const keys = new Map<string, string>();
  for (const element of graph.elements) if (!keys.has(idOf(element))) keys.set(idOf(element), element.key);
  const edges: FlowEdge[] = [];
  for (const element of graph.elements) {
    for (const output of Object.keys(outputsOf(element))) {
      const target = targetOf(element, output);
      const to = target === null ? undefined : keys.get(target);
      if (to !== undefined) edges.push({ from: element.key, output, to });
    }
  }
  return edges;
}

export function freshKey(wanted: string, taken: ReadonlySet<string>): string {
  if (wanted !== "" && !taken.has(wanted)) return wanted;
  for (let count = 2; ; ++count) {
    const key = `${wanted || "element"}~${count}`;
    if (!taken.has(key)) return key;
  }
}

export type Parsed = { graph: Graph; error?: undefined } | { graph?: undefined; error: string };

// Reads a route's text. `before` lends its keys to elements of the same id, so that the canvas keeps its nodes.
export function parseGraph(text: string, before?: Graph): Parsed {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const place = placeOf(message, text);
    return { error: `This is not JSON: ${message}${place ? ` (line ${place.line}, column ${place.column})` : ""}` };
  }
  if (!isObject(root)) return { error: "A route is a JSON object with a name and elements." };
  const { name, elements, ...rest } = root;
  if (!Array.isArray(elements)) return { error: 'A route has "elements", a list.' };
  const lent = new Map(before?.elements.map((element) => [idOf(element), element.key]));
  const taken = new Set<string>();
  const read: FlowElement[] = [];
  for (const [index, raw] of elements.entries()) {
    if (!isObject(raw)) return { error: `Element ${index + 1} is no JSON object.` };
    const id = typeof raw.id === "string" ? raw.id : "";
    const key = freshKey(lent.get(id) ?? id, taken);
    taken.add(key);
    read.push({ key, raw });
  }
  return { graph: { name: typeof name === "string" ? name : "", elements: read, rest } };
}

export function serialise(graph: Graph): string {
  const root = { name: graph.name, elements: graph.elements.map((element) => element.raw) as Json, ...graph.rest };
  return `${JSON.stringify(root, null, 2)}\n`;
}

// positionsJson of a version: an object of element id to {x, y}; anything else in it is passed over.
export function readPositions(text: string, graph: Graph): Positions {
  const positions: Record<string, Position> = {};
  try {
    const parsed: unknown = text === "" ? {} : JSON.parse(text);
    if (!isObject(parsed)) return {};
    for (const element of graph.elements) {
      const at = parsed[idOf(element)];
      if (isObject(at) && Number.isFinite(at.x) && Number.isFinite(at.y)) {
        positions[element.key] = { x: at.x as number, y: at.y as number };
      }
    }
  } catch {
    return {};
  }
  return positions;
}

export function writePositions(graph: Graph, positions: Positions): string {
  const result: Record<string, Position> = {};
  for (const element of graph.elements) {
    const at = positions[element.key];
    if (at) result[idOf(element)] = { x: Math.round(at.x), y: Math.round(at.y) };
  }
  return JSON.stringify(result);
}
