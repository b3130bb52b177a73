// A property of a few values that may be left out: then the default holds, and the graph does not name it.
import { Field, Select } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";

export function OptionalSelect({
  name,
  label,
  fallback,
  choices,
  properties,
  faults,
  set,
}: FormProps & { name: string; label: string; fallback: string; choices: readonly { value: string; label: string }[] }) {
  const value = text(properties[name]);
  const known = value === "" || choices.some((choice) => choice.value === value);
  return (
    <Field label={label} error={faultOf(faults, name)}>
      <Select
        value={value}
        choices={[{ value: "", label: `default, ${fallback}` }, ...choices, ...(known ? [] : [{ value, label: value }])]}
        onPick={(next) => set(name, next === "" ? undefined : next)}
      />
    </Field>
  );
}
