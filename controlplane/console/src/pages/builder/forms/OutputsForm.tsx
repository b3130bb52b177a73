// Where each output leads: connecting without a mouse.
import { connect, disconnect } from "@/graph/edit";
import { infoOf, outputLabel, shownOutputs } from "@/graph/elements";
import { findById, idOf, targetOf, typeOf } from "@/graph/model";
import { Field, Select } from "@/ui/Field";
import type { FormProps } from "./context";
import css from "./forms.module.css";

const kWithout: Record<string, string> = { rate: "nothing: the request ends with 429", model: "nothing: the request ends with 502" };

export function OutputsForm({ graph, element, faults, change }: FormProps) {
  const type = typeOf(element);
  const outputs = shownOutputs(element);
  if (outputs.length === 0) return null;
  const targets = graph.elements
    .filter((other) => other.key !== element.key && typeOf(other) !== "start")
    .map((other) => ({ value: other.key, label: idOf(other) }));
  const wrong = faults.filter((fault) => fault.path.includes(".outputs"));
  return (
    <fieldset className={css.stackTight}>
      <legend className={css.legend}>Leads to</legend>
      {outputs.map((output) => {
        const required = infoOf(type).required.includes(output) || type === "percentage";
        const target = targetOf(element, output);
        const known = target === null ? undefined : findById(graph, target);
        return (
          <div key={output} className={css.outputRow}>
            <Field label={outputLabel(type, output)}>
              <Select
                value={known?.key ?? ""}
                choices={[
                  { value: "", label: target !== null && !known ? `“${target}”, which is not there` : required ? "choose an element" : (kWithout[type] ?? "nothing") },
                  ...targets,
                ]}
                onPick={(to) => change((before) => (to === "" ? disconnect(before, element.key, output) : connect(before, element.key, output, to)))}
              />
            </Field>
          </div>
        );
      })}
      {wrong.length > 0 && <p className={css.fault}>{wrong.map((fault) => fault.message).join(" ")}</p>}
    </fieldset>
  );
}
