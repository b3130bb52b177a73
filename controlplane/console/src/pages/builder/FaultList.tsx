// What the server finds in the route, each with its place; picking one goes to its element.
import { CircleAlert, CircleCheck, TriangleAlert } from "lucide-react";
import type { Fault } from "@/api/types";
import { idOf, type Graph } from "@/graph/model";
import { Button } from "@/ui/Button";
import { plural } from "@/ui/format";
import { Notice } from "@/ui/States";
import { messageOf } from "@/ui/Toast";
import css from "./FaultList.module.css";
import { elementOf, isError, type Validation } from "./useValidation";

export function FaultList({ validation, graph, onPick }: { validation: Validation; graph: Graph; onPick: (key: string) => void }) {
  if (validation.state === "unknown") {
    return (
      <div className={css.box}>
        <Notice tone="warn">The route could not be checked: {messageOf(validation.error)}</Notice>
      </div>
    );
  }
  if (validation.faults.length === 0) {
    return (
      <div className={css.none}>
        <CircleCheck aria-hidden="true" />
        <p>{validation.state === "checking" ? "Checking …" : "No faults. This route compiles and can be deployed."}</p>
      </div>
    );
  }
  return (
    <ul className={css.list}>
      {validation.faults.map((fault, index) => (
        <FaultItem key={index} fault={fault} graph={graph} onPick={onPick} />
      ))}
    </ul>
  );
}

function FaultItem({ fault, graph, onPick }: { fault: Fault; graph: Graph; onPick: (key: string) => void }) {
  const element = elementOf(graph, fault);
  const content = (
    <>
      {isError(fault) ? <CircleAlert aria-label="Fault" className={css.bad} /> : <TriangleAlert aria-label="Warning" className={css.warn} />}
      <span>
        <span className={css.where}>{element ? idOf(element) : "the route"}</span>
        <span className={css.message}>{fault.message}</span>
        <code className={css.path}>{fault.path}</code>
      </span>
    </>
  );
  return (
    <li>
      {element ? (
        <button type="button" className={css.fault} onClick={() => onPick(element.key)}>
          {content}
        </button>
      ) : (
        <div className={css.fault}>{content}</div>
      )}
    </li>
  );
}

// The same in a few words, always in sight.
export function ValidationStatus({ validation, onOpen }: { validation: Validation; onOpen: () => void }) {
  const errors = validation.faults.filter(isError).length;
  const warnings = validation.faults.length - errors;
  const text =
    validation.state === "checking"
      ? "checking …"
      : validation.state === "unknown"
        ? "not checked"
        : errors > 0
          ? plural(errors, "fault")
          : warnings > 0
            ? plural(warnings, "warning")
            : "no faults";
  const tone = errors > 0 ? css.bad : warnings > 0 || validation.state === "unknown" ? css.warn : css.ok;
  return (
    <Button small kind="quiet" onClick={onOpen} icon={errors > 0 ? <CircleAlert className={css.bad} /> : warnings > 0 ? <TriangleAlert className={css.warn} /> : <CircleCheck className={tone} />}>
      <span role="status" aria-label="Validation">{text}</span>
    </Button>
  );
}
