// Rows of a name and a value that can be added and removed.
import { Plus, Trash2 } from "lucide-react";
import { useRef } from "react";
import { Button, IconButton } from "./Button";
import { TextInput } from "./Field";
import css from "./Pairs.module.css";

export type Pair = [name: string, value: string];

export const pairsOf = (record: Record<string, string> | undefined): Pair[] => Object.entries(record ?? {});

export const recordOf = (pairs: readonly Pair[]): Record<string, string> =>
  Object.fromEntries(pairs.map(([name, value]) => [name.trim(), value] as const).filter(([name]) => name !== ""));

export function Pairs({ legend, one, pairs, onChange, disabled }: { legend: string; one: string; pairs: readonly Pair[]; onChange: (pairs: Pair[]) => void; disabled?: boolean }) {
  const list = useRef<HTMLFieldSetElement>(null);
  const change = (index: number, pair: Pair) => onChange(pairs.map((old, at) => (at === index ? pair : old)));
  const add = () => {
    onChange([...pairs, ["", ""]]);
    requestAnimationFrame(() => list.current?.querySelector<HTMLInputElement>(`div:nth-of-type(${pairs.length + 1}) input`)?.focus());
  };
  return (
    <fieldset ref={list} className={css.pairs} disabled={disabled}>
      <legend className={css.legend}>{legend}</legend>
      {pairs.map(([name, value], index) => (
        <div key={index} className={css.row}>
          <TextInput aria-label={`${one} ${index + 1}, name`} placeholder="name" value={name} onChange={(event) => change(index, [event.target.value, value])} />
          <TextInput aria-label={`${one} ${index + 1}, value`} placeholder="value" value={value} onChange={(event) => change(index, [name, event.target.value])} />
          <IconButton label={`Remove ${one} ${name || index + 1}`} icon={<Trash2 />} onClick={() => onChange(pairs.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Button small kind="quiet" icon={<Plus />} onClick={add}>
        Add {one}
      </Button>
    </fieldset>
  );
}
