// The forms of elements with little to say: start, end, and types that the gateway does not know.
import { setRaw } from "@/graph/edit";
import { Field, TextInput } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";
import css from "./forms.module.css";
import { JsonField } from "./JsonField";
import { NumberField } from "./NumberField";

export function StartForm(props: FormProps) {
  return (
    <div className={css.stack}>
      <p className={css.about}>Every request of the route begins here.</p>
      <NumberField
        {...props}
        name="cacheTtl"
        label="Keep answers for, seconds"
        optional
        placeholder="not kept"
        hint="Identical requests of the same key then get the same answer, for $0. At most 30 days."
      />
    </div>
  );
}

export function EndForm(props: FormProps) {
  const { properties, faults, set } = props;
  return (
    <div className={css.stack}>
      <p className={css.about}>
        The model's answer, if one answered. Else an error by what led here: 429 from a limit, 502 from a model, 403 otherwise.
      </p>
      <NumberField {...props} name="status" label="Status of its own" optional placeholder="as above" hint="400 to 599, with code route_ended." />
      <Field label="Message" optional error={faultOf(faults, "message")}>
        <TextInput placeholder="a sentence" value={text(properties.message)} onChange={(event) => set("message", event.target.value || undefined)} />
      </Field>
    </div>
  );
}

export function UnknownForm({ element, change }: FormProps) {
  return (
    <div className={css.stack}>
      <p className={css.about}>This type of element is not known. Known are start, conditional, percentage, rate, model and end.</p>
      <JsonField
        label="The element"
        rows={14}
        value={element.raw}
        onChange={(raw) => raw && change((graph) => setRaw(graph, element.key, raw), `raw/${element.key}`)}
      />
    </div>
  );
}
