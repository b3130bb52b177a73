// The selected element: its id, the form of its type, and where it leads.
import { Copy, Trash2 } from "lucide-react";
import { useEffect, useState, type ComponentType } from "react";
import type { Fault } from "@/api/types";
import { setId, setProperty } from "@/graph/edit";
import { infoOf, isElementType } from "@/graph/elements";
import { idOf, propertiesOf, typeOf, type ElementType, type FlowElement, type Graph } from "@/graph/model";
import { IconButton } from "@/ui/Button";
import { Field, TextInput } from "@/ui/Field";
import { ConditionForm } from "./forms/ConditionForm";
import type { FormProps } from "./forms/context";
import { LimitForm } from "./forms/LimitForm";
import { ModelForm } from "./forms/ModelForm";
import { OutputsForm } from "./forms/OutputsForm";
import { EndForm, StartForm, UnknownForm } from "./forms/SmallForms";
import { SplitForm } from "./forms/SplitForm";
import css from "./Inspector.module.css";

const kForms: Record<ElementType, ComponentType<FormProps>> = {
  start: StartForm,
  conditional: ConditionForm,
  percentage: SplitForm,
  rate: LimitForm,
  model: ModelForm,
  end: EndForm,
};

export interface InspectorProps {
  gateway: string;
  graph: Graph;
  element: FlowElement;
  faults: readonly Fault[];
  readOnly: boolean;
  change: (next: (graph: Graph) => Graph, group?: string | null) => void;
  onDelete: () => void;
  onDuplicate: () => void;
}

export function Inspector({ gateway, graph, element, faults, readOnly, change, onDelete, onDuplicate }: InspectorProps) {
  const type = typeOf(element);
  const info = infoOf(type);
  const Form = isElementType(type) ? kForms[type] : UnknownForm;
  const form: FormProps = {
    gateway,
    graph,
    element,
    properties: propertiesOf(element),
    faults,
    change,
    set: (name, value) => change((before) => setProperty(before, element.key, name, value), `${element.key}/${name}`),
  };
  const general = faults.filter((fault) => !/\.properties\.|\.outputs/.test(fault.path));
  return (
    <div className={css.inspector}>
      <div className={css.head}>
        <h2>{info.label}</h2>
        <span className={css.tools}>
          <IconButton small label="Duplicate" icon={<Copy />} disabled={readOnly || type === "start"} onClick={onDuplicate} />
          <IconButton small label="Delete" icon={<Trash2 />} disabled={readOnly} onClick={onDelete} />
        </span>
      </div>
      {general.length > 0 && (
        <ul className={css.faults}>
          {general.map((fault, index) => (
            <li key={index}>{fault.message}</li>
          ))}
        </ul>
      )}
      <fieldset disabled={readOnly} className={css.form}>
        <legend className="visually-hidden">Properties of {idOf(element)}</legend>
        <IdField {...form} />
        <Form {...form} />
        <OutputsForm {...form} />
      </fieldset>
    </div>
  );
}

// The id is taken over when it is whole, so that a half-typed one never meets another element's.
function IdField({ element, graph, change }: FormProps) {
  const [draft, setDraft] = useState(idOf(element));
  useEffect(() => setDraft(idOf(element)), [element]);
  const twin = draft !== idOf(element) && graph.elements.some((other) => other.key !== element.key && idOf(other) === draft);
  const take = () => {
    if (!twin && draft !== "" && draft !== idOf(element)) change((before) => setId(before, element.key, draft));
    else setDraft(idOf(element));
  };
  return (
    <Field label="Id" error={twin ? "Another element has this id." : undefined}>
      <TextInput
        mono
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={take}
        onKeyDown={(event) => event.key === "Enter" && take()}
      />
    </Field>
  );
}
