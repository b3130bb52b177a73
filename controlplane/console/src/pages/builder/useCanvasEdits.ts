// What the canvas, the palette and the add menu do to the document.
import { useCallback, useMemo, useState } from "react";
import type { CanvasEdits } from "@/graph/canvas/FlowCanvas";
import { editGraph } from "@/graph/document";
import { addElement, connect, disconnect } from "@/graph/edit";
import { isElementType, nodeHeight, nodeWidth, shownOutputs } from "@/graph/elements";
import { freePlace, kGapY, layoutGraph } from "@/graph/layout";
import { findByKey, targetOf, type ElementType, type FlowElement, type Position } from "@/graph/model";
import type { RouteEditor } from "./useRouteDocument";

// An output that waits for a block, and where its menu opens.
export interface AddRequest {
  from: string;
  output: string;
  near: DOMRect;
  at?: Position;
}

export function useCanvasEdits(editor: RouteEditor, selected: ReadonlySet<string>, select: (keys: ReadonlySet<string>) => void) {
  const { change, doc } = editor;
  const [adding, setAdding] = useState<AddRequest | null>(null);

  // Adds a block; behind an output if one is given, at a place or the next free one.
  const add = useCallback(
    (type: ElementType, behind?: { from: string; output: string }, at?: Position) => {
      const added = addElement(doc.graph, type);
      let graph = added.graph;
      if (behind && type !== "start") graph = connect(graph, behind.from, behind.output, added.element.key);
      const source = behind && doc.positions[behind.from];
      const element = behind && findByKey(doc.graph, behind.from);
      const wanted = at ?? (source && element ? { x: source.x, y: source.y + nodeHeight(element) + kGapY } : { x: 0, y: 0 });
      const size = { width: nodeWidth(added.element), height: nodeHeight(added.element) };
      const place = freePlace(doc.graph, doc.positions, wanted, size);
      change((before) => editGraph(before, graph, { ...before.positions, [added.element.key]: place }));
      select(new Set([added.element.key]));
    },
    [change, doc, select],
  );

  // From the palette without a mouse: behind the selected element's first free output.
  const addFromPalette = useCallback(
    (type: ElementType) => {
      const [key] = selected;
      const element = selected.size === 1 ? doc.graph.elements.find((candidate) => candidate.key === key) : undefined;
      const free = element && freeOutput(element);
      add(type, element && free !== undefined ? { from: element.key, output: free } : undefined);
    },
    [add, doc.graph, selected],
  );

  const edits = useMemo<CanvasEdits>(
    () => ({
      onMove: (places) => change((before) => ({ ...before, positions: { ...before.positions, ...places } })),
      onConnect: (from, output, to) => change((before) => editGraph(before, connect(before.graph, from, output, to))),
      onReconnect: (was, now) =>
        change((before) => {
          const moved = was.from !== now.from || was.output !== now.output;
          const cut = moved ? disconnect(before.graph, was.from, was.output) : before.graph;
          return editGraph(before, connect(cut, now.from, now.output, now.to));
        }),
      onDisconnect: (from, output) => change((before) => editGraph(before, disconnect(before.graph, from, output))),
      onConnectToNothing: (from, output, at, near) => setAdding({ from, output, at, near }),
      onAddAfter: (from, output, near) => setAdding({ from, output, near }),
      onDropBlock: (type, at) => isElementType(type) && add(type, undefined, at),
    }),
    [add, change],
  );

  const tidy = useCallback(() => change((before) => ({ ...before, positions: layoutGraph(before.graph) })), [change]);
  return { edits, add, addFromPalette, tidy, adding, closeAdding: useCallback(() => setAdding(null), []) };
}

const freeOutput = (element: FlowElement) => shownOutputs(element).find((output) => targetOf(element, output) === null);
