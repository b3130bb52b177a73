// A number as it is typed: what is no number yet stays in the field, with a word about it, and out of the graph.
import { useEffect, useState } from "react";
import { Field, TextInput } from "@/ui/Field";
import type { Json } from "@/graph/json";

const shown = (value: Json | undefined) => (value === undefined ? "" : typeof value === "number" ? String(value) : JSON.stringify(value));

export function NumberField({
  label,
  hint,
  error,
  value,
  optional,
  placeholder,
  onChange,
}: {
  label: string;
  hint?: string;
  error?: string;
  value: Json | undefined;
  optional?: boolean;
  placeholder?: string;
  onChange: (value: number | undefined) => void;
}) {
  const [draft, setDraft] = useState(shown(value));
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    setDraft((before) => (Number(before) === value && before.trim() !== "" ? before : shown(value)));
    setWrong("");
  }, [value]);
  return (
    <Field label={label} hint={hint} error={wrong || error} optional={optional}>
      <TextInput
        inputMode="decimal"
        value={draft}
        placeholder={placeholder}
        onChange={(event) => {
          const next = event.target.value;
          setDraft(next);
          const number = Number(next);
          if (next.trim() === "") {
            setWrong("");
            onChange(undefined);
          } else if (Number.isFinite(number)) {
            setWrong("");
            onChange(number);
          } else {
            setWrong("This is not a number.");
          }
        }}
      />
    </Field>
  );
}
