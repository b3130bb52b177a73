// Edits of a graph: pure functions from a graph to the next one.
import { isElementType, kTypes } from "./elements";
import { isObject, type Json, type JsonObject } from "./json";
import {
  findById,
  findByKey,
  freshKey,
  idOf,
  outputsOf,
  propertiesOf,
  targetOf,
  typeOf,
  type ElementType,
  type FlowElement,
  type Graph,
} from "./model";

const kDefaults: Record<ElementType, JsonObject | undefined> = {
  start: undefined,
  conditional: { conditions: { "metadata.plan": { $eq: "free" } } },
  percentage: undefined,
  rate: { limitType: "count", key: "metadata.email", limit: 10, window: 86_400 },
  model: { provider: "openai", model: "gpt-4o-mini", timeout: 60_000, retries: 1 },
  end: undefined,
};

const kIdStems: Record<ElementType, string> = {
  start: "start",
  conditional: "condition",
  percentage: "split",
  rate: "limit",
  model: "model",
  end: "end",
};

export function freshId(graph: Graph, stem: string): string {
  const taken = new Set(graph.elements.map(idOf));
  if (!taken.has(stem)) return stem;
  for (let count = 2; ; ++count) if (!taken.has(`${stem}-${count}`)) return `${stem}-${count}`;
}

const keysOf = (graph: Graph) => new Set(graph.elements.map((element) => element.key));

function replace(graph: Graph, key: string, raw: JsonObject): Graph {
  return { ...graph, elements: graph.elements.map((element) => (element.key === key ? { key, raw } : element)) };
}

// Members in the order people write them; what is there keeps its place.
function withMember(raw: JsonObject, name: string, value: Json | undefined): JsonObject {
  if (value === undefined) {
    const { [name]: _, ...rest } = raw;
    return rest;
  }
  if (Object.hasOwn(raw, name) || name !== "properties" || !Object.hasOwn(raw, "outputs")) return { ...raw, [name]: value };
  const { outputs, ...before } = raw;
  return { ...before, [name]: value, outputs: outputs! };
}

// A new element of `type`. A model's answer leads to an end if there is one: it may lead nowhere else.
export function addElement(graph: Graph, type: ElementType): { graph: Graph; element: FlowElement } {
  const id = freshId(graph, kIdStems[type]);
  const end = graph.elements.find((element) => typeOf(element) === "end");
  const outputs: JsonObject = {};
  if (type === "model" && end) outputs.success = { elementId: idOf(end) };
  if (type === "percentage") Object.assign(outputs, { "50% a": {}, "50% b": {} });
  const properties = kDefaults[type];
  const element: FlowElement = {
    key: freshKey(id, keysOf(graph)),
    raw: { id, type, ...(properties ? { properties: structuredClone(properties) } : {}), outputs },
  };
  return { graph: { ...graph, elements: [...graph.elements, element] }, element };
}

// Removes elements and the outputs that led to them.
export function removeElements(graph: Graph, keys: ReadonlySet<string>): Graph {
  const gone = new Set(graph.elements.filter((element) => keys.has(element.key)).map(idOf));
  const kept = graph.elements.filter((element) => !keys.has(element.key));
  for (const element of kept) gone.delete(idOf(element));
  return {
    ...graph,
    elements: kept.map((element) => {
      const dangling = Object.keys(outputsOf(element)).filter((output) => gone.has(targetOf(element, output) ?? ""));
      return dangling.reduce((current, output) => cut(current, output), element);
    }),
  };
}

// A share of a split stays without a target; any other output goes.
function cut(element: FlowElement, output: string): FlowElement {
  const outputs: JsonObject = { ...outputsOf(element) };
  if (typeOf(element) === "percentage") outputs[output] = {};
  else delete outputs[output];
  return { key: element.key, raw: { ...element.raw, outputs } };
}

export function disconnect(graph: Graph, key: string, output: string): Graph {
  const element = findByKey(graph, key);
  return element ? replace(graph, key, cut(element, output).raw) : graph;
}

export function connect(graph: Graph, from: string, output: string, to: string): Graph {
  const source = findByKey(graph, from);
  const target = findByKey(graph, to);
  if (!source || !target) return graph;
  const before = outputsOf(source);
  const there = before[output];
  const link: JsonObject = { ...(isObject(there) ? there : {}), elementId: idOf(target) };
  return replace(graph, from, { ...source.raw, outputs: inOrder(typeOf(source), { ...before, [output]: link }) });
}

// success before fallback, true before false, as the type draws them.
function inOrder(type: string, outputs: JsonObject): JsonObject {
  const order: readonly string[] = isElementType(type) ? kTypes[type].outputs : [];
  const result: JsonObject = {};
  for (const name of order) if (outputs[name] !== undefined) result[name] = outputs[name];
  return { ...result, ...outputs };
}

export function setProperty(graph: Graph, key: string, name: string, value: Json | undefined): Graph {
  const element = findByKey(graph, key);
  if (!element) return graph;
  const properties = { ...propertiesOf(element) };
  if (value === undefined) delete properties[name];
  else properties[name] = value;
  const empty = Object.keys(properties).length === 0;
  return replace(graph, key, withMember(element.raw, "properties", empty ? undefined : properties));
}

// Renames an element and every output that leads to it.
export function setId(graph: Graph, key: string, id: string): Graph {
  const element = findByKey(graph, key);
  if (!element) return graph;
  const old = idOf(element);
  const shared = graph.elements.some((other) => other.key !== key && idOf(other) === old);
  const renamed = replace(graph, key, { ...element.raw, id });
  if (shared || old === "") return renamed;
  return { ...renamed, elements: renamed.elements.map((other) => retarget(other, old, id)) };
}

function retarget(element: FlowElement, from: string, to: string): FlowElement {
  const outputs = outputsOf(element);
  if (!Object.keys(outputs).some((output) => targetOf(element, output) === from)) return element;
  const next: JsonObject = {};
  for (const [output, value] of Object.entries(outputs)) {
    next[output] = targetOf(element, output) === from ? { ...(value as JsonObject), elementId: to } : value;
  }
  return { key: element.key, raw: { ...element.raw, outputs: next } };
}

export function setRaw(graph: Graph, key: string, raw: JsonObject): Graph {
  return replace(graph, key, raw);
}

// Replaces a split's shares, given as [old name or null, new name], keeping where each leads.
export function setShares(graph: Graph, key: string, shares: readonly (readonly [string | null, string])[]): Graph {
  const element = findByKey(graph, key);
  if (!element) return graph;
  const before = outputsOf(element);
  const outputs: JsonObject = {};
  for (const [old, name] of shares) outputs[name] = (old === null ? undefined : before[old]) ?? {};
  return replace(graph, key, { ...element.raw, outputs });
}

// ---- Copy and paste ----

export interface Clip {
  elements: readonly FlowElement[];
}

// Copies get ids and keys of their own; connections among them are kept, others are cut. A second start is not pasted.
export function paste(graph: Graph, clip: Clip): { graph: Graph; pasted: { from: string; to: string }[] } {
  const ids = new Map<string, string>();
  const hasStart = graph.elements.some((element) => typeOf(element) === "start");
  const sources = clip.elements.filter((element) => !(hasStart && typeOf(element) === "start"));
  let next = graph;
  const pasted: { from: string; to: string }[] = [];
  for (const source of sources) {
    const id = freshId(next, idOf(source).replace(/-\d+$/, "") || "element");
    ids.set(idOf(source), id);
    const key = freshKey(id, keysOf(next));
    next = { ...next, elements: [...next.elements, { key, raw: { ...structuredClone(source.raw), id } }] };
    pasted.push({ from: source.key, to: key });
  }
  const fresh = new Set(pasted.map((pair) => pair.to));
  next = { ...next, elements: next.elements.map((element) => (fresh.has(element.key) ? relink(element, ids, graph) : element)) };
  return { graph: next, pasted };
}

function relink(element: FlowElement, ids: ReadonlyMap<string, string>, into: Graph): FlowElement {
  let result = element;
  for (const output of Object.keys(outputsOf(element))) {
    const target = targetOf(element, output) ?? "";
    const copy = ids.get(target);
    if (copy !== undefined) {
      result = { key: result.key, raw: { ...result.raw, outputs: { ...outputsOf(result), [output]: { elementId: copy } } } };
    } else if (!findById(into, target)) {
      result = cut(result, output);
    }
  }
  return result;
}
