// What the builder edits: a graph with the text it came from and the places of its elements. `text` is what a save sends
// and an export writes as long as the graph was not edited: byte for byte what was opened, imported or typed.
import { completePositions } from "./layout";
import { parseGraph, readPositions, serialise, type Graph, type Positions } from "./model";

export interface RouteDocument {
  text: string | null; // null: the graph was edited since
  graph: Graph;
  positions: Positions;
  unreadable?: string; // why `text` is no graph; `graph` is then the last one that was
}

export const textOf = (doc: RouteDocument): string => doc.text ?? serialise(doc.graph);

export function openDocument(json: string, positionsJson: string): RouteDocument {
  const parsed = parseGraph(json);
  if (parsed.graph === undefined) {
    return { text: json, graph: { name: "", elements: [], rest: {} }, positions: {}, unreadable: parsed.error };
  }
  return {
    text: json,
    graph: parsed.graph,
    positions: completePositions(parsed.graph, readPositions(positionsJson, parsed.graph)),
  };
}

export function editGraph(doc: RouteDocument, graph: Graph, positions?: Positions): RouteDocument {
  if (graph === doc.graph && positions === undefined) return doc;
  const places = completePositions(graph, positions ?? doc.positions);
  return graph === doc.graph ? { ...doc, positions: places } : { text: null, graph, positions: places };
}

export function editText(doc: RouteDocument, text: string): RouteDocument {
  if (text === textOf(doc)) return doc.text === null ? { ...doc, text } : doc;
  const parsed = parseGraph(text, doc.graph);
  if (parsed.graph === undefined) return { ...doc, text, unreadable: parsed.error };
  return { text, graph: parsed.graph, positions: completePositions(parsed.graph, doc.positions) };
}
