// The row of filters above a list. A text is taken over when typing pauses or Enter is pressed, so that an address
// does not change with every letter.
import { useEffect, useState, type ReactNode } from "react";
import { Field, Select, TextInput, type Choice } from "./Field";
import css from "./Filters.module.css";

const kTypingMs = 350;

export function Filters({ children, label, aside }: { children: ReactNode; label: string; aside?: ReactNode }) {
  return (
    <form role="search" aria-label={label} className={css.filters} onSubmit={(event) => event.preventDefault()}>
      <div className={css.fields}>{children}</div>
      {aside && <div className={css.aside}>{aside}</div>}
    </form>
  );
}

export function TextFilter({
  label,
  value,
  onChange,
  placeholder,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
}) {
  const [text, setText] = useState(value);
  const [told, setTold] = useState(value);
  if (told !== value) {
    setTold(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), kTypingMs);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <div className={css.field}>
      <Field label={label}>
        <TextInput
          type="search"
          value={text}
          placeholder={placeholder ?? "any"}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && onChange(text)}
        />
      </Field>
    </div>
  );
}

// A choice with "any" in front; a value that is not among the choices stays visible.
export function SelectFilter({
  label,
  value,
  choices,
  onChange,
  any = "any",
}: {
  label: string;
  value: string;
  choices: readonly Choice[];
  onChange: (value: string) => void;
  any?: string;
}) {
  const known = value === "" || choices.some((choice) => choice.value === value);
  const all = [{ value: "", label: any }, ...(known ? [] : [{ value, label: value }]), ...choices];
  return (
    <div className={css.field}>
      <Field label={label}>
        <Select value={value} choices={all} onPick={onChange} />
      </Field>
    </div>
  );
}

export function FilterField({ children, wide }: { children: ReactNode; wide?: boolean }) {
  return <div className={wide ? css.wide : css.field}>{children}</div>;
}
