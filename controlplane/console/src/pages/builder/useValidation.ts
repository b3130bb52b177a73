// The server's opinion of the text as it stands, asked again a moment after each change.
import { useEffect, useMemo, useState } from "react";
import { routes as api } from "@/api/api";
import type { Fault } from "@/api/types";
import type { ElementMark, ElementMarks } from "@/graph/canvas/marks";
import { idOf, type FlowElement, type Graph } from "@/graph/model";

const kQuietMs = 300;

export interface Validation {
  state: "checking" | "compiles" | "faulty" | "unknown";
  faults: readonly Fault[];
  error?: unknown;
}

export function useValidation(gateway: string, text: string): Validation {
  const [result, setResult] = useState<Validation & { of: string }>({ state: "checking", faults: [], of: "" });
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await api.validate(gateway, text, abort.signal);
        setResult({ state: answer.compiles ? "compiles" : "faulty", faults: answer.faults ?? [], of: text });
      } catch (error) {
        if (!abort.signal.aborted) setResult({ state: "unknown", faults: [], error, of: text });
      }
    }, kQuietMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [gateway, text]);
  return result.of === text ? result : { ...result, state: "checking" };
}

// The element a fault is about: by its place in the list, which tells twins apart, else by id.
export function elementOf(graph: Graph, fault: Fault): FlowElement | undefined {
  const index = /^\$\.elements\[(\d+)\]/.exec(fault.path);
  const byPlace = index ? graph.elements[Number(index[1])] : undefined;
  if (byPlace && (fault.elementId === "" || idOf(byPlace) === fault.elementId)) return byPlace;
  return fault.elementId === "" ? undefined : graph.elements.find((element) => idOf(element) === fault.elementId);
}

export const isError = (fault: Fault) => fault.severity !== "SEVERITY_WARNING";

export function useFaultMarks(graph: Graph, faults: readonly Fault[]): ElementMarks {
  return useMemo(() => {
    const marks = new Map<string, ElementMark>();
    for (const fault of faults) {
      const element = elementOf(graph, fault);
      if (!element) continue;
      const mark = marks.get(element.key) ?? {};
      const count = isError(fault) ? { errors: (mark.errors ?? 0) + 1 } : { warnings: (mark.warnings ?? 0) + 1 };
      const faultText = mark.faultText ? `${mark.faultText}\n${fault.message}` : fault.message;
      marks.set(element.key, { ...mark, ...count, faultText });
    }
    return marks;
  }, [graph, faults]);
}
