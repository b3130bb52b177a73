// The builder's state: the document with its history, and what the server has. Every change goes through `change`.
import { useCallback, useMemo, useReducer } from "react";
import type { Route, Version } from "@/api/types";
import { openDocument, textOf, type RouteDocument } from "@/graph/document";
import { record, redo, startHistory, undo, type History } from "@/graph/history";
import { writePositions } from "@/graph/model";

export interface Saved {
  text: string;
  positions: string;
  etag: string;
  version: string; // that was opened or saved last
  base: string; // the latest one at that moment
}

interface State {
  history: History<RouteDocument>;
  saved: Saved;
}

export type Change = (doc: RouteDocument) => RouteDocument;

type Action =
  | { kind: "change"; change: Change; group: string | null }
  | { kind: "undo" | "redo" }
  | { kind: "saved"; saved: Saved }
  | { kind: "reset"; doc: RouteDocument; saved: Saved };

function reduce(state: State, action: Action): State {
  switch (action.kind) {
    case "change":
      return { ...state, history: record(state.history, action.change(state.history.present), action.group) };
    case "undo":
      return { ...state, history: undo(state.history) };
    case "redo":
      return { ...state, history: redo(state.history) };
    case "saved":
      return { ...state, saved: action.saved };
    case "reset":
      return { history: startHistory(action.doc), saved: action.saved };
  }
}

export const positionsOf = (doc: RouteDocument) => writePositions(doc.graph, doc.positions);

function open(route: Route, version: Version): State {
  const doc = openDocument(version.json, version.positionsJson);
  return {
    history: startHistory(doc),
    saved: { text: version.json, positions: positionsOf(doc), etag: route.etag, version: version.number, base: route.latestVersion },
  };
}

// Unsaved work of this tab, by route id: it outlives going to another page and back.
const kept = new Map<string, State>();
export const keptDocument = (routeId: string): RouteDocument | null => kept.get(routeId)?.history.present ?? null;

// `resume`: unsaved work goes on where it was left; not when an older version was asked for.
export function useRouteDocument(route: Route, version: Version, resume: boolean) {
  const [state, dispatch] = useReducer(reduce, null, () => (resume ? kept.get(route.id) : undefined) ?? open(route, version));
  const doc = state.history.present;
  const text = useMemo(() => textOf(doc), [doc]);
  const dirtyGraph = text !== state.saved.text;
  const dirty = dirtyGraph || positionsOf(doc) !== state.saved.positions;
  if (dirty) kept.set(route.id, state);
  else if (resume) kept.delete(route.id);

  const change = useCallback((next: Change, group: string | null = null) => dispatch({ kind: "change", change: next, group }), []);
  const actions = useMemo(
    () => ({
      undo: () => dispatch({ kind: "undo" }),
      redo: () => dispatch({ kind: "redo" }),
      markSaved: (saved: Saved) => dispatch({ kind: "saved", saved }),
      takeTheirs: (theirs: Route, latest: Version) => {
        const opened = open(theirs, latest);
        dispatch({ kind: "reset", doc: opened.history.present, saved: opened.saved });
      },
    }),
    [],
  );
  return {
    doc,
    text,
    dirty,
    dirtyGraph,
    saved: state.saved,
    canUndo: state.history.past.length > 0,
    canRedo: state.history.future.length > 0,
    change,
    ...actions,
  };
}

export type RouteEditor = ReturnType<typeof useRouteDocument>;
