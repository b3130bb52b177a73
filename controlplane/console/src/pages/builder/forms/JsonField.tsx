// A property that is a JSON object, as text; it reaches the graph whenever it reads.
import { useEffect, useRef, useState } from "react";
import { isObject, type Json, type JsonObject } from "@/graph/json";
import { Field, TextArea } from "@/ui/Field";

const shown = (value: Json | undefined) => (value === undefined ? "" : JSON.stringify(value, null, 2));

export function JsonField({
  label,
  hint,
  error,
  value,
  rows = 4,
  onChange,
}: {
  label: string;
  hint?: string;
  error?: string;
  value: Json | undefined;
  rows?: number;
  onChange: (value: JsonObject | undefined) => void;
}) {
  const [draft, setDraft] = useState(shown(value));
  const [wrong, setWrong] = useState("");
  const written = useRef(shown(value));
  useEffect(() => {
    if (shown(value) === written.current) return;
    written.current = shown(value);
    setDraft(shown(value));
    setWrong("");
  }, [value]);
  const type = (next: string) => {
    setDraft(next);
    if (next.trim() === "") {
      written.current = "";
      setWrong("");
      return onChange(undefined);
    }
    try {
      const parsed: unknown = JSON.parse(next);
      if (!isObject(parsed)) return setWrong("This has to be a JSON object.");
      written.current = shown(parsed);
      setWrong("");
      onChange(parsed);
    } catch {
      setWrong("This is not JSON yet.");
    }
  };
  return (
    <Field label={label} hint={hint} error={wrong || error} optional>
      <TextArea mono rows={rows} value={draft} onChange={(event) => type(event.target.value)} />
    </Field>
  );
}
