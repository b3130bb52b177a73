// A line between two blocks, drawn around those that are in its way, also while one of them is dragged.
import { BaseEdge, useStore, type EdgeProps, type Node, type ReactFlowState } from "@xyflow/react";
import { memo, useMemo } from "react";
import type { Box } from "../layout";
import { linePath } from "../line";

type Nodes = readonly Node[];

const kBoxes = new WeakMap<Nodes, Box[]>();

function boxesOf(nodes: Nodes): Box[] {
  const known = kBoxes.get(nodes);
  if (known) return known;
  const boxes = nodes.map(({ position, width = 0, height = 0 }) => ({ ...position, width, height }));
  boxes.sort((a, b) => a.x - b.x);
  kBoxes.set(nodes, boxes);
  return boxes;
}

export const Line = memo(function Line({ sourceX, sourceY, targetX, targetY, markerEnd, interactionWidth }: EdgeProps) {
  // Asked with every change of the store, most of which move no block.
  const path = useMemo(() => {
    let seen: Nodes | undefined;
    let answer = "";
    return ({ nodes }: ReactFlowState) => {
      if (nodes !== seen) answer = linePath({ x: sourceX, y: sourceY }, { x: targetX, y: targetY }, boxesOf(nodes));
      seen = nodes;
      return answer;
    };
  }, [sourceX, sourceY, targetX, targetY]);
  return <BaseEdge path={useStore(path)} markerEnd={markerEnd} interactionWidth={interactionWidth} />;
});
