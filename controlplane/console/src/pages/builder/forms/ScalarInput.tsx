// A value with its type, since 5 is not "5".
import { Select, TextInput } from "@/ui/Field";
import type { Json } from "@/graph/json";
import css from "./forms.module.css";
import { useNumberText } from "./NumberField";

const kKinds = [
  { value: "text", label: "text" },
  { value: "number", label: "number" },
  { value: "boolean", label: "yes/no" },
  { value: "null", label: "null" },
] as const;
type Kind = (typeof kKinds)[number]["value"];

function kindOf(value: Json): Kind {
  if (typeof value === "number") return "number";
  if (typeof value === "boolean") return "boolean";
  return value === null ? "null" : "text";
}

function convert(value: Json, kind: Kind): Json {
  switch (kind) {
    case "text":
      return value === null || typeof value === "object" ? "" : String(value);
    case "number":
      return Number.isFinite(Number(value)) ? Number(value) : 0;
    case "boolean":
      return value === true || value === "true";
    case "null":
      return null;
  }
}

export function ScalarInput({ label, value, onChange }: { label: string; value: Json; onChange: (value: Json) => void }) {
  const kind = kindOf(value);
  return (
    <div className={css.scalar} role="group" aria-label={label}>
      <Select aria-label={`${label}: type`} value={kind} choices={kKinds} onPick={(next) => onChange(convert(value, next))} />
      {kind === "boolean" ? (
        <YesNo label={label} value={value === true} onChange={onChange} />
      ) : kind === "number" ? (
        <NumberInput label={label} value={value as number} onChange={onChange} />
      ) : (
        <TextInput
          aria-label={label}
          value={kind === "null" ? "null" : typeof value === "string" ? value : JSON.stringify(value)}
          disabled={kind === "null"}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </div>
  );
}

export function YesNo({ label, value, onChange }: { label: string; value: boolean; onChange: (value: boolean) => void }) {
  return (
    <Select
      aria-label={label}
      value={value ? "true" : "false"}
      choices={[
        { value: "true", label: "yes" },
        { value: "false", label: "no" },
      ]}
      onPick={(next) => onChange(next === "true")}
    />
  );
}

function NumberInput({ label, value, onChange }: { label: string; value: number; onChange: (value: number) => void }) {
  const { draft, type } = useNumberText(value, (next) => next !== undefined && onChange(next));
  return <TextInput aria-label={label} inputMode="decimal" value={draft} onChange={(event) => type(event.target.value)} />;
}
