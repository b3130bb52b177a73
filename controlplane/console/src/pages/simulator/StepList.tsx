// The walk in words: each element, what it decided, why, and what it would set aside.
import { infoOf, outputLabel } from "@/graph/elements";
import css from "./simulator.module.css";
import type { Walk } from "./walk";

export function StepList({ walk, onPick }: { walk: Walk; onPick: (elementId: string) => void }) {
  return (
    <ol className={css.steps} aria-label="Steps">
      {walk.steps.map(({ id, type, output, reason, hold }, index) => (
        <li key={index}>
          <button type="button" onClick={() => onPick(id)}>
            <span className={css.stepNumber} aria-hidden="true">
              {index + 1}
            </span>
            <span className={css.stepText}>
              <span>
                <strong>{id}</strong> {type && <span className="muted">{infoOf(type).label}</span>}
              </span>
              <span>{reason}</span>
              {hold && <span className={css.hold}>{hold}</span>}
            </span>
            {output !== "" && <span className={css.stepOutput}>{outputLabel(type, output)}</span>}
          </button>
        </li>
      ))}
    </ol>
  );
}
