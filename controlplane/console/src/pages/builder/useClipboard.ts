// Copy and paste of elements through the system's clipboard, as JSON text, so that it works between routes and windows.
import { useCallback, useEffect, useRef } from "react";
import { paste, removeElements, type Clip } from "@/graph/edit";
import { editGraph } from "@/graph/document";
import { isObject } from "@/graph/json";
import type { FlowElement, Position } from "@/graph/model";
import type { RouteEditor } from "./useRouteDocument";

const kShift = 36;

export const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable=true], dialog") !== null;

function readClip(text: string): Clip | null {
  try {
    const parsed: unknown = JSON.parse(text);
    const list = isObject(parsed) && Array.isArray(parsed.elements) ? parsed.elements : null;
    if (!list || list.length === 0 || !list.every(isObject)) return null;
    return { elements: list.map((raw, index): FlowElement => ({ key: `clip${index}`, raw })) };
  } catch {
    return null;
  }
}

export function useClipboard(editor: RouteEditor, selected: ReadonlySet<string>, select: (keys: ReadonlySet<string>) => void, enabled: boolean) {
  const { change } = editor;
  const latest = useRef({ doc: editor.doc, selected });
  latest.current = { doc: editor.doc, selected };

  const chosen = useCallback(
    () => latest.current.doc.graph.elements.filter((element) => latest.current.selected.has(element.key)),
    [],
  );
  const remove = useCallback(
    (keys: ReadonlySet<string>) => {
      if (keys.size === 0) return;
      change((doc) => editGraph(doc, removeElements(doc.graph, keys)));
      select(new Set());
    },
    [change, select],
  );
  // Copies lie a little beside their originals, or where the first of the clip would be.
  const insert = useCallback(
    (clip: Clip) => {
      const { doc } = latest.current;
      const { graph, pasted } = paste(doc.graph, clip);
      const positions: Record<string, Position> = { ...doc.positions };
      pasted.forEach(({ from, to }, index) => {
        const at = doc.positions[from] ?? { x: index * kShift, y: index * kShift };
        positions[to] = { x: at.x + kShift, y: at.y + kShift };
      });
      if (pasted.length === 0) return;
      change((before) => editGraph(before, graph, positions));
      select(new Set(pasted.map((pair) => pair.to)));
    },
    [change, select],
  );
  const duplicate = useCallback(() => insert({ elements: chosen() }), [chosen, insert]);

  useEffect(() => {
    if (!enabled) return;
    const onCopy = (event: ClipboardEvent) => {
      if (isTyping(document.activeElement) || String(getSelection() ?? "") !== "") return;
      const elements = chosen();
      if (elements.length === 0) return;
      event.preventDefault();
      event.clipboardData?.setData("text/plain", JSON.stringify({ elements: elements.map((element) => element.raw) }, null, 2));
      if (event.type === "cut") remove(new Set(elements.map((element) => element.key)));
    };
    const onPaste = (event: ClipboardEvent) => {
      if (isTyping(document.activeElement)) return;
      const clip = readClip(event.clipboardData?.getData("text/plain") ?? "");
      if (clip === null) return;
      event.preventDefault();
      insert(clip);
    };
    document.addEventListener("copy", onCopy);
    document.addEventListener("cut", onCopy);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("copy", onCopy);
      document.removeEventListener("cut", onCopy);
      document.removeEventListener("paste", onPaste);
    };
  }, [chosen, enabled, insert, remove]);

  return { duplicate, remove };
}
