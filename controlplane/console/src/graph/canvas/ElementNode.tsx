// One element as a block: what it is, what it does in a line or two, and its outputs with the dots they are drawn from.
// Its height is nodeHeight's; the styles keep to the same figures.
import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { Plus, TriangleAlert } from "lucide-react";
import { createContext, memo, useContext } from "react";
import { infoOf, outputLabel, shownOutputs, summaryOf, toneOf } from "../elements";
import { idOf, targetOf, typeOf, type FlowElement } from "../model";
import css from "./ElementNode.module.css";
import { sameMark, type ElementMark } from "./marks";

export type ElementNodeData = { element: FlowElement; mark?: ElementMark; editable: boolean };
export type ElementNodeType = Node<ElementNodeData, "element">;

// Asks for a block to be added behind an output, near the button that was pressed.
export type AddAfter = (key: string, output: string, near: DOMRect) => void;
export const AddAfterContext = createContext<AddAfter | null>(null);

export const ElementNode = memo(
  function ElementNode({ data, selected }: NodeProps<ElementNodeType>) {
    const { element, mark = {}, editable } = data;
    const type = typeOf(element);
    const info = infoOf(type);
    const Icon = info.icon;
    const lines = summaryOf(element);
    const outputs = shownOutputs(element);
    const classes = [
      css.node,
      selected ? css.selected : "",
      mark.errors ? css.faulty : "",
      mark.change ? css[mark.change] : "",
      mark.step !== undefined ? css.lit : "",
      mark.tone === "bad" ? css.stopped : "",
      mark.dim ? css.dim : "",
    ];
    return (
      <div className={classes.join(" ")} style={toneOf(type)} data-element={idOf(element)} data-testid={`element-${idOf(element)}`}>
        {type !== "start" && <Handle type="target" position={Position.Top} id="in" className={css.target} isConnectable={editable} />}
        <div className={css.head}>
          <span className={css.icon}>
            <Icon aria-hidden="true" />
          </span>
          <span className={css.titles}>
            <span className={css.id}>{idOf(element) || "no id"}</span>
            <span className={css.type}>{info.label}</span>
          </span>
          <NodeBadge mark={mark} />
        </div>
        {lines.length > 0 && (
          <div className={css.summary}>
            {mark.reason !== undefined ? (
              <p className={lines.length === 1 ? css.reasonShort : css.reason} title={mark.reason}>
                {mark.reason}
              </p>
            ) : (
              lines.map((line, index) => (
                <p key={index} title={line}>
                  {line}
                </p>
              ))
            )}
          </div>
        )}
        {outputs.length > 0 && (
          <ul className={css.outputs}>
            {outputs.map((output) => (
              <OutputRow key={output} element={element} output={output} editable={editable} />
            ))}
          </ul>
        )}
      </div>
    );
  },
  (before, after) =>
    before.selected === after.selected &&
    before.data.element === after.data.element &&
    before.data.editable === after.data.editable &&
    sameMark(before.data.mark, after.data.mark),
);

function OutputRow({ element, output, editable }: { element: FlowElement; output: string; editable: boolean }) {
  const addAfter = useContext(AddAfterContext);
  const type = typeOf(element);
  const open = targetOf(element, output) === null;
  return (
    <li className={`${css.output} ${open ? css.open : ""}`}>
      <span className={css.outputName} title={output}>
        {outputLabel(type, output)}
      </span>
      {editable && open && addAfter && (
        <button
          type="button"
          className={`${css.add} nodrag nopan`}
          aria-label={`Add a block after ${idOf(element)}, ${outputLabel(type, output)}`}
          onClick={(event) => {
            event.stopPropagation();
            addAfter(element.key, output, event.currentTarget.getBoundingClientRect());
          }}
          onKeyDown={(event) => event.stopPropagation()}
        >
          <Plus aria-hidden="true" />
        </button>
      )}
      <Handle type="source" position={Position.Bottom} id={output} className={css.source} isConnectable={editable} />
    </li>
  );
}

function NodeBadge({ mark }: { mark: ElementMark }) {
  const faults = (mark.errors ?? 0) + (mark.warnings ?? 0);
  if (faults > 0) {
    return (
      <span className={`${css.badge} ${mark.errors ? css.bad : css.warn}`} title={mark.faultText}>
        <TriangleAlert aria-hidden="true" />
        <span>
          {faults}
          <span className="visually-hidden"> {mark.errors ? "faults" : "warnings"}</span>
        </span>
      </span>
    );
  }
  if (mark.step !== undefined) {
    return (
      <span className={`${css.badge} ${mark.tone === "bad" ? css.bad : css.good}`}>
        <span className="visually-hidden">step </span>
        {mark.step}
      </span>
    );
  }
  if (mark.change) return <span className={`${css.badge} ${css[`${mark.change}Badge`]}`}>{mark.change}</span>;
  return null;
}
