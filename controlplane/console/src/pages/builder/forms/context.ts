// What every form of an element gets: the element, a way to change it, and the faults of its properties.
import type { Fault } from "@/api/types";
import type { Json, JsonObject } from "@/graph/json";
import type { FlowElement, Graph } from "@/graph/model";

export interface FormProps {
  gateway: string;
  graph: Graph;
  element: FlowElement;
  properties: JsonObject;
  faults: readonly Fault[]; // of this element
  set: (name: string, value: Json | undefined) => void;
  change: (next: (graph: Graph) => Graph, group?: string | null) => void;
}

// The faults of one property, as one text; of what is in it too.
export function faultOf(faults: readonly Fault[], property: string): string | undefined {
  const about = new RegExp(`\\.properties\\.${property}(?![\\w])|\\.properties\\[["']${property}["']\\]`);
  const texts = faults.filter((fault) => about.test(fault.path)).map((fault) => fault.message);
  return texts.length > 0 ? texts.join(" ") : undefined;
}

export const text = (value: Json | undefined): string => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));
