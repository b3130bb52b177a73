// The walk in words: each element, what it decided, why, and what it would set aside.
import type { SimulatedStep, SimulateResponse } from "@/api/types";
import { infoOf, outputLabel } from "@/graph/elements";
import { formatCount, formatNanos } from "@/ui/format";
import css from "./simulator.module.css";

export function StepList({ answer, onPick }: { answer: SimulateResponse; onPick: (elementId: string) => void }) {
  return (
    <ol className={css.steps} aria-label="Steps">
      {answer.steps.map((step, index) => (
        <li key={index}>
          <button type="button" onClick={() => onPick(step.elementId)}>
            <span className={css.stepNumber} aria-hidden="true">
              {index + 1}
            </span>
            <span className={css.stepText}>
              <span>
                <strong>{step.elementId}</strong> <span className="muted">{infoOf(step.type).label}</span>
              </span>
              <span>{step.reason}</span>
              <Hold step={step} />
            </span>
            {step.output !== "" && <span className={css.stepOutput}>{outputLabel(step.type, step.output)}</span>}
          </button>
        </li>
      ))}
    </ol>
  );
}

function Hold({ step }: { step: SimulatedStep }) {
  const amount = step.holdNanos !== "0" ? formatNanos(step.holdNanos) : step.holdTokens !== "0" ? `${formatCount(step.holdTokens)} tokens` : null;
  return amount === null ? null : (
    <span className={css.hold}>
      holds {amount} for {step.identifier}
      {step.shadow ? ", as a shadow" : ""}
    </span>
  );
}
