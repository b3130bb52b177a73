// A number as it is typed: what is no number yet stays in the field, with a word about it, and out of the graph.
import { useEffect, useState } from "react";
import { Field, TextInput } from "@/ui/Field";
import type { Json } from "@/graph/json";
import { faultOf, type FormProps } from "./context";

const shown = (value: Json | undefined) => (value === undefined ? "" : typeof value === "number" ? String(value) : JSON.stringify(value));

// The text of a number's field; `onChange` hears numbers, and undefined when the field is emptied.
export function useNumberText(value: Json | undefined, onChange: (value: number | undefined) => void) {
  const [draft, setDraft] = useState(shown(value));
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    setDraft((before) => (Number(before) === value && before.trim() !== "" ? before : shown(value)));
    setWrong(false);
  }, [value]);
  const type = (next: string) => {
    const number = next.trim() === "" ? undefined : Number(next);
    const good = number === undefined || Number.isFinite(number);
    setDraft(next);
    setWrong(!good);
    if (good) onChange(number);
  };
  return { draft, wrong, type };
}

// The field of a property that is a number.
export function NumberField({
  name,
  label,
  hint,
  optional,
  placeholder,
  properties,
  faults,
  set,
}: FormProps & { name: string; label: string; hint?: string; optional?: boolean; placeholder?: string }) {
  const { draft, wrong, type } = useNumberText(properties[name], (value) => set(name, value));
  return (
    <Field label={label} hint={hint} error={wrong ? "This is not a number." : faultOf(faults, name)} optional={optional}>
      <TextInput inputMode="decimal" value={draft} placeholder={placeholder} onChange={(event) => type(event.target.value)} />
    </Field>
  );
}
