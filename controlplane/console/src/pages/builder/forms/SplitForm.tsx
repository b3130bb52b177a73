// A split's shares, which are the names of its outputs, and whether a value sticks to its share.
import { Plus, Scale, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { setShares } from "@/graph/edit";
import { outputsOf } from "@/graph/model";
import { Button, IconButton } from "@/ui/Button";
import { Checkbox, Field, TextInput } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";
import { FieldRef } from "./FieldRef";
import css from "./forms.module.css";

interface Share {
  old: string | null; // the output as the graph has it
  percent: string;
  label: string;
}

function readShare(output: string): Share {
  const found = /^\s*([^%]*)%\s*(.*)$/.exec(output);
  return found ? { old: output, percent: found[1] ?? "", label: found[2] ?? "" } : { old: output, percent: output, label: "" };
}

// The outputs' names; a share that is there twice gets a letter as label.
function namesOf(shares: readonly Share[]): string[] {
  const taken = new Set<string>();
  return shares.map(({ percent, label }) => {
    let name = `${percent.trim()}%${label.trim() === "" ? "" : ` ${label.trim()}`}`;
    for (let letter = 0; taken.has(name); ++letter) name = `${percent.trim()}% ${label.trim()}${String.fromCharCode(97 + letter)}`;
    taken.add(name);
    return name;
  });
}

function evenly(count: number): string[] {
  const each = Math.floor(10_000 / count);
  return Array.from({ length: count }, (_, index) => String((index === 0 ? 10_000 - each * (count - 1) : each) / 100));
}

export function SplitForm({ element, properties, faults, set, change }: FormProps) {
  const stored = Object.keys(outputsOf(element));
  const storedText = JSON.stringify(stored);
  const [shares, setLocal] = useState(() => stored.map(readShare));
  const written = useRef(storedText);
  useEffect(() => {
    if (storedText === written.current) return;
    written.current = storedText;
    setLocal((JSON.parse(storedText) as string[]).map(readShare));
  }, [storedText]);
  const write = (next: Share[]) => {
    const names = namesOf(next);
    written.current = JSON.stringify(names);
    setLocal(next.map((share, index) => ({ ...share, old: names[index]! })));
    change(
      (graph) => setShares(graph, element.key, next.map((share, index) => [share.old, names[index]!] as const)),
      `shares/${element.key}`,
    );
  };
  const edit = (index: number, part: Partial<Share>) => write(shares.map((share, at) => (at === index ? { ...share, ...part } : share)));
  const sum = shares.reduce((total, share) => total + Math.round(Number(share.percent) * 100 || 0), 0) / 100;
  const sticky = properties.stickyKey !== undefined;
  return (
    <div className={css.stack}>
      <fieldset className={css.stack}>
        <legend className={css.legend}>Shares of the requests</legend>
        {shares.map((share, index) => (
          <div key={index} className={css.share}>
            <span className={css.percent}>
              <TextInput aria-label={`Share ${index + 1}, percent`} inputMode="decimal" value={share.percent} onChange={(event) => edit(index, { percent: event.target.value })} />
            </span>
            <TextInput aria-label={`Share ${index + 1}, label`} placeholder="label, optional" value={share.label} onChange={(event) => edit(index, { label: event.target.value })} />
            <IconButton small label={`Remove share ${index + 1}`} icon={<Trash2 />} onClick={() => write(shares.filter((_, at) => at !== index))} />
          </div>
        ))}
        <div className={css.groupFoot}>
          <Button small icon={<Plus />} onClick={() => write([...shares, { old: null, percent: String(Math.max(0, Math.round((100 - sum) * 100) / 100)), label: "" }])}>
            Share
          </Button>
          {shares.length > 1 && (
            <Button small icon={<Scale />} onClick={() => write(shares.map((share, index) => ({ ...share, percent: evenly(shares.length)[index]! })))}>
              Even out
            </Button>
          )}
          <span className={sum === 100 ? css.sum : css.sumWrong}>{sum} of 100%</span>
        </div>
      </fieldset>
      <Checkbox
        label="The same value always gets the same share"
        hint="On every proxy and across versions. Without it, each request is drawn anew."
        checked={sticky}
        onChange={(event) => set("stickyKey", event.target.checked ? "metadata.user_id" : undefined)}
      />
      {sticky && (
        <Field label="Whose" error={faultOf(faults, "stickyKey")}>
          <FieldRef label="Sticky field" value={text(properties.stickyKey)} onChange={(field) => set("stickyKey", field)} />
        </Field>
      )}
    </div>
  );
}
