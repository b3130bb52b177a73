// The blocks to draw with: dragged onto the canvas, or added by click and Enter.
import { kBlockMime } from "@/graph/canvas/FlowCanvas";
import { kTypes, toneOf } from "@/graph/elements";
import type { ElementType } from "@/graph/model";
import css from "./Palette.module.css";

export const kBlocks: readonly ElementType[] = ["conditional", "percentage", "rate", "model", "end", "start"];

export function Palette({ onAdd, hasStart }: { onAdd: (type: ElementType) => void; hasStart: boolean }) {
  return (
    <section className={css.palette} aria-label="Blocks">
      <h2 className={css.title}>Blocks</h2>
      <ul className={css.list}>
        {kBlocks
          .filter((type) => type !== "start" || !hasStart)
          .map((type) => {
            const { icon: Icon, label, about } = kTypes[type];
            return (
              <li key={type}>
                <button
                  type="button"
                  draggable
                  data-block={type}
                  className={css.block}
                  style={toneOf(type)}
                  title={`${about}. Drag it onto the canvas, or press Enter.`}
                  onClick={() => onAdd(type)}
                  onDragStart={(event) => {
                    event.dataTransfer.setData(kBlockMime, type);
                    event.dataTransfer.effectAllowed = "copy";
                  }}
                >
                  <span className={css.icon}>
                    <Icon aria-hidden="true" />
                  </span>
                  {label}
                </button>
              </li>
            );
          })}
      </ul>
      <p className={css.hint}>Drag a block onto the canvas, or press the + of an output.</p>
    </section>
  );
}
