// Names a field of the request: where to look, and what for.
import { Select, TextInput } from "@/ui/Field";
import css from "./forms.module.css";

const kRoots = [
  { value: "metadata", label: "metadata" },
  { value: "body", label: "body" },
  { value: "headers", label: "headers" },
  { value: "other", label: "other" },
] as const;
type Root = (typeof kRoots)[number]["value"];

const kUsual: Record<Root, readonly string[]> = {
  metadata: ["plan", "email", "user", "user_id", "team", "tier", "beta"],
  body: ["max_tokens", "messages.0.content", "tools", "stream", "temperature", "user"],
  headers: ["x-region", "user-agent", "x-user"],
  other: [],
};

function split(field: string): [Root, string] {
  const dot = field.indexOf(".");
  const root = dot < 0 ? field : field.slice(0, dot);
  if (root === "metadata" || root === "body" || root === "headers") return [root, dot < 0 ? "" : field.slice(dot + 1)];
  return ["other", field];
}

export function FieldRef({ label, value, onChange }: { label: string; value: string; onChange: (field: string) => void }) {
  const [root, rest] = split(value);
  const listId = `fields-${root}`;
  const join = (next: Root, path: string) => onChange(next === "other" ? path : `${next}.${path}`);
  return (
    <div className={css.fieldRef} role="group" aria-label={label}>
      <Select aria-label={`${label}: where`} value={root} choices={kRoots} onPick={(next) => join(next, rest)} />
      <TextInput
        aria-label={`${label}: name`}
        list={listId}
        value={rest}
        placeholder={root === "body" ? "path.to.value" : root === "other" ? "metadata.…" : "name"}
        onChange={(event) => join(root, event.target.value)}
      />
      <datalist id={listId}>
        {kUsual[root].map((usual) => (
          <option key={usual} value={usual} />
        ))}
      </datalist>
    </div>
  );
}
