// A route drawn as a graph: for the builder to edit, for versions and the simulator to show. React Flow owns the nodes
// while they are dragged; the caller hears of places when the drag ends. Nodes keep their identity while nothing of
// theirs changes, so a drag in a large graph redraws only what moves.
import {
  applyNodeChanges,
  Background,
  BackgroundVariant,
  ConnectionLineType,
  Controls,
  MarkerType,
  MiniMap,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  type Connection,
  type Edge,
  type EdgeChange,
  type FinalConnectionState,
  type NodeChange,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent, type ReactNode } from "react";
import { infoOf, nodeHeight, nodeWidth } from "../elements";
import { edgesOf, idOf, typeOf, type Graph, type Position, type Positions } from "../model";
import { AddAfterContext, ElementNode, type AddAfter, type ElementNodeData, type ElementNodeType } from "./ElementNode";
import css from "./FlowCanvas.module.css";
import { Line } from "./Line";
import { edgeId, kNoEdgeMarks, kNoMarks, sameMark, type EdgeMarks, type ElementMarks } from "./marks";

export interface CanvasEdits {
  onMove: (places: Record<string, Position>) => void;
  onConnect: (from: string, output: string, to: string) => void;
  onReconnect: (before: { from: string; output: string }, after: { from: string; output: string; to: string }) => void;
  onDisconnect: (from: string, output: string) => void;
  onConnectToNothing: (from: string, output: string, at: Position, near: DOMRect) => void;
  onAddAfter: AddAfter;
  onDropBlock: (type: string, at: Position) => void;
}

export interface FlowCanvasProps {
  label: string;
  graph: Graph;
  positions: Positions;
  marks?: ElementMarks;
  edgeMarks?: EdgeMarks;
  selected?: ReadonlySet<string>;
  onSelect?: (keys: ReadonlySet<string>) => void;
  onSelectEdges?: (ids: ReadonlySet<string>) => void;
  edits?: CanvasEdits;
  fitKey?: string; // a change fits the whole graph into view
  reveal?: string | null; // an element to bring into view
  children?: ReactNode;
}

export const kBlockMime = "application/x-signalbox-block";

const kNodeTypes = { element: ElementNode };
const kEdgeTypes = { default: Line };
const kNone: ReadonlySet<string> = new Set();
const kMinimapFrom = 25;
// Constant, like every handler below: a prop that is new with each frame of a drag redraws every node and edge.
const kMultiSelect = ["Shift", "Meta", "Control"];
const kFit = { padding: 0.06, maxZoom: 1 };
// A graph too large to be read whole opens at its start.
const kReadable = 0.3;
const kOpenZoom = 0.6;
const kOpenTop = 24;

const isNoLoop = (link: Connection | Edge) => link.source !== link.target;

export function FlowCanvas(props: FlowCanvasProps) {
  return (
    <ReactFlowProvider>
      <Canvas {...props} />
    </ReactFlowProvider>
  );
}

function buildNodes(props: FlowCanvasProps, before: readonly ElementNodeType[]): ElementNodeType[] {
  const { graph, positions, marks = kNoMarks, selected = kNone, edits } = props;
  const old = new Map(before.map((node) => [node.id, node]));
  return graph.elements.map((element) => {
    const was = old.get(element.key);
    const position = positions[element.key] ?? { x: 0, y: 0 };
    const mark = marks.get(element.key);
    const isSelected = selected.has(element.key);
    const sameData = was?.data.element === element && sameMark(was.data.mark, mark) && was.data.editable === Boolean(edits);
    const samePlace = was?.position.x === position.x && was.position.y === position.y;
    if (was && sameData && samePlace && Boolean(was.selected) === isSelected) return was;
    const data: ElementNodeData = was && sameData ? was.data : { element, mark, editable: Boolean(edits) };
    const info = infoOf(typeOf(element));
    return {
      ...was,
      id: element.key,
      type: "element",
      position: was?.dragging ? was.position : position,
      width: nodeWidth(element),
      height: nodeHeight(element),
      selected: isSelected,
      ariaLabel: `${info.label} ${idOf(element)}${mark?.faultText ? `, ${mark.faultText}` : ""}`,
      data,
    };
  });
}

const kEdgeClass = { lit: css.lit, added: css.added, removed: css.removed, dim: css.dimmed } as const;
const kEdgeColour = { lit: "var(--ok)", added: "var(--ok)", removed: "var(--bad)", dim: "var(--line)" } as const;

function buildEdges(graph: Graph, marks: EdgeMarks, selected: ReadonlySet<string>, editable: boolean): Edge[] {
  const names = new Map(graph.elements.map((element) => [element.key, idOf(element)]));
  return edgesOf(graph).map(({ from, output, to }) => {
    const id = edgeId(from, output);
    const mark = marks.get(id);
    const isSelected = selected.has(id);
    return {
      id,
      source: from,
      sourceHandle: output,
      target: to,
      targetHandle: "in",
      selected: isSelected,
      selectable: editable,
      focusable: editable,
      reconnectable: editable,
      className: `${mark ? kEdgeClass[mark] : ""} ${isSelected ? css.edgeSelected : ""}`,
      ariaLabel: `${output} of ${names.get(from)} leads to ${names.get(to)}`,
      markerEnd: {
        type: MarkerType.ArrowClosed,
        width: 16,
        height: 16,
        color: isSelected ? "var(--accent)" : mark ? kEdgeColour[mark] : "var(--line-strong)",
      },
      zIndex: mark === "lit" || isSelected ? 1 : 0,
    };
  });
}

function Canvas(props: FlowCanvasProps) {
  const { graph, positions, marks, edgeMarks = kNoEdgeMarks, selected, edits, onSelect, onSelectEdges, fitKey, reveal } = props;
  const flow = useReactFlow<ElementNodeType>();
  const [nodes, setNodes] = useState<ElementNodeType[]>(() => buildNodes(props, []));
  const current = useRef(nodes);
  const frameRef = useRef<HTMLDivElement>(null);
  const [selectedEdges, setSelectedEdges] = useState<ReadonlySet<string>>(kNone);
  const editable = Boolean(edits);

  const show = useCallback((next: ElementNodeType[]) => {
    current.current = next;
    setNodes(next);
  }, []);
  useEffect(() => {
    show(buildNodes({ label: "", graph, positions, marks, selected, edits: editable ? edits : undefined }, current.current));
    // `edits` is a bag of callbacks; only whether it is there matters to the drawing.
  }, [graph, positions, marks, selected, editable, show]); // eslint-disable-line

  const edges = useMemo(
    () => buildEdges(graph, edgeMarks, selectedEdges, editable),
    [graph, edgeMarks, selectedEdges, editable],
  );

  const latest = useRef({ edits, onSelect, onSelectEdges });
  latest.current = { edits, onSelect, onSelectEdges };

  const onNodesChange = useCallback(
    (changes: NodeChange<ElementNodeType>[]) => {
      const wanted = changes.filter((change) => change.type === "position" || change.type === "select" || change.type === "dimensions");
      if (wanted.length === 0) return;
      const next = applyNodeChanges(wanted, current.current);
      show(next);
      if (wanted.some((change) => change.type === "select")) {
        latest.current.onSelect?.(new Set(next.filter((node) => node.selected).map((node) => node.id)));
      }
      // Moves by arrow keys have no drag that ends.
      const moved = wanted.filter((change) => change.type === "position" && change.dragging === false && change.position);
      if (moved.length > 0) {
        const ids = new Set(moved.map((change) => (change.type === "position" ? change.id : "")));
        latest.current.edits?.onMove(Object.fromEntries(next.filter((node) => ids.has(node.id)).map((node) => [node.id, node.position])));
      }
    },
    [show],
  );

  const onEdgesChange = useCallback(
    (changes: EdgeChange[]) => {
      const next = new Set(selectedEdges);
      for (const change of changes) {
        if (change.type !== "select") continue;
        if (change.selected) next.add(change.id);
        else next.delete(change.id);
      }
      setSelectedEdges(next);
      latest.current.onSelectEdges?.(next);
    },
    [selectedEdges],
  );

  const [ready, setReady] = useState(false);
  useEffect(() => {
    if (!ready) return;
    const frame = requestAnimationFrame(() => {
      const start = current.current.reduce<ElementNodeType | undefined>((top, node) => (top && top.position.y <= node.position.y ? top : node), undefined);
      const { clientWidth = 0, clientHeight = 0 } = frameRef.current ?? {};
      const { width, height } = flow.getNodesBounds(current.current);
      if (!start || Math.min(clientWidth / width, clientHeight / height) >= kReadable) return void flow.fitView({ ...kFit, duration: 200 });
      const { x, y } = start.position;
      void flow.setCenter(x + (start.width ?? 0) / 2, y + (clientHeight / 2 - kOpenTop) / kOpenZoom, { zoom: kOpenZoom });
    });
    return () => cancelAnimationFrame(frame);
  }, [fitKey, ready, flow]);
  useEffect(() => {
    if (!ready || !reveal) return;
    const node = current.current.find((candidate) => candidate.id === reveal);
    if (!node) return;
    const x = node.position.x + (node.width ?? 0) / 2;
    void flow.setCenter(x, node.position.y + (node.height ?? 80) / 2, { zoom: Math.max(flow.getZoom(), 0.8), duration: 250 });
  }, [reveal, ready, flow]);

  const onInit = useCallback(() => setReady(true), []);
  const onConnect = useCallback((link: Connection) => latest.current.edits?.onConnect(link.source, link.sourceHandle ?? "", link.target), []);
  const onConnectEnd = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      if (state.isValid || state.toNode || !state.fromNode || state.fromHandle?.type !== "source") return;
      const point = "changedTouches" in event ? event.changedTouches[0]! : event;
      const at = flow.screenToFlowPosition({ x: point.clientX, y: point.clientY });
      const near = new DOMRect(point.clientX, point.clientY, 0, 0);
      latest.current.edits?.onConnectToNothing(state.fromNode.id, state.fromHandle.id ?? "", at, near);
    },
    [flow],
  );
  const onReconnect = useCallback(
    (edge: Edge, link: Connection) =>
      latest.current.edits?.onReconnect(
        { from: edge.source, output: edge.sourceHandle ?? "" },
        { from: link.source, output: link.sourceHandle ?? "", to: link.target },
      ),
    [],
  );
  const onReconnectEnd = useCallback((_: unknown, edge: Edge, __: unknown, state: FinalConnectionState) => {
    if (!state.isValid && !state.toNode) latest.current.edits?.onDisconnect(edge.source, edge.sourceHandle ?? "");
  }, []);
  const onDragOver = useCallback((event: DragEvent) => {
    if (!latest.current.edits || !event.dataTransfer.types.includes(kBlockMime)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  }, []);
  const onDrop = useCallback(
    (event: DragEvent) => {
      const type = event.dataTransfer.getData(kBlockMime);
      if (!latest.current.edits || type === "") return;
      event.preventDefault();
      latest.current.edits.onDropBlock(type, flow.screenToFlowPosition({ x: event.clientX - 40, y: event.clientY - 24 }));
    },
    [flow],
  );
  const addAfter = useCallback<AddAfter>((key, output, near) => latest.current.edits?.onAddAfter(key, output, near), []);

  return (
    <AddAfterContext.Provider value={editable ? addAfter : null}>
      <div ref={frameRef} className={css.canvas} role="region" aria-label={props.label}>
        <ReactFlow<ElementNodeType>
          nodes={nodes}
          edges={edges}
          nodeTypes={kNodeTypes}
          edgeTypes={kEdgeTypes}
          onInit={onInit}
          onNodesChange={onNodesChange}
          onEdgesChange={onEdgesChange}
          onConnect={onConnect}
          onConnectEnd={onConnectEnd}
          onReconnect={onReconnect}
          onReconnectEnd={onReconnectEnd}
          onDragOver={onDragOver}
          onDrop={onDrop}
          isValidConnection={isNoLoop}
          nodesDraggable={editable}
          nodesConnectable={editable}
          edgesReconnectable={editable}
          elementsSelectable={editable || onSelect !== undefined}
          edgesFocusable={editable}
          nodesFocusable
          deleteKeyCode={null}
          connectionLineType={ConnectionLineType.Bezier}
          connectionRadius={28}
          minZoom={0.08}
          maxZoom={1.6}
          fitView
          fitViewOptions={kFit}
          panOnScroll
          zoomOnDoubleClick={false}
          multiSelectionKeyCode={kMultiSelect}
          selectionKeyCode="Shift"
        >
          <Background variant={BackgroundVariant.Dots} gap={20} size={1.5} color="var(--canvas-dot)" />
          <Controls showInteractive={false} position="bottom-left" className={css.controls} />
          {graph.elements.length >= kMinimapFrom && (
            <MiniMap pannable zoomable position="bottom-right" className={css.minimap} nodeColor="var(--line-strong)" nodeBorderRadius={12} ariaLabel="Overview of the graph" />
          )}
          {props.children}
        </ReactFlow>
      </div>
    </AddAfterContext.Provider>
  );
}
