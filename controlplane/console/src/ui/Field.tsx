// Form fields with their label, hint and error tied together for assistive technology.
import {
  createContext,
  useContext,
  useId,
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
} from "react";
import css from "./Field.module.css";

interface FieldIds {
  id: string;
  describedBy?: string;
  invalid: boolean;
}
const FieldContext = createContext<FieldIds | null>(null);

// What a control inside a Field puts on its element.
export function useFieldProps() {
  const field = useContext(FieldContext);
  return field === null
    ? {}
    : { id: field.id, "aria-describedby": field.describedBy, "aria-invalid": field.invalid || undefined };
}

export function Field({
  label,
  hint,
  error,
  optional,
  hideLabel,
  children,
}: {
  label: ReactNode;
  hint?: ReactNode;
  error?: ReactNode;
  optional?: boolean;
  hideLabel?: boolean;
  children: ReactNode;
}) {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div className={css.field}>
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : css.label}>
        {label}
        {optional && <span className={css.optional}> optional</span>}
      </label>
      <FieldContext.Provider value={{ id, describedBy: described || undefined, invalid: Boolean(error) }}>
        {children}
      </FieldContext.Provider>
      {error && (
        <p id={`${id}-error`} className={css.error}>
          {error}
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className={css.hint}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function TextInput({ mono, className = "", ...rest }: InputHTMLAttributes<HTMLInputElement> & { mono?: boolean }) {
  return (
    <input
      type="text"
      autoComplete="off"
      spellCheck={false}
      {...useFieldProps()}
      {...rest}
      className={`${css.input} ${mono ? css.mono : ""} ${className}`}
    />
  );
}

export function TextArea({ mono, className = "", ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement> & { mono?: boolean }) {
  return (
    <textarea
      spellCheck={false}
      {...useFieldProps()}
      {...rest}
      className={`${css.input} ${css.area} ${mono ? css.mono : ""} ${className}`}
    />
  );
}

export interface Choice<Value extends string = string> {
  value: Value;
  label: string;
}

export function Select<Value extends string>({
  choices,
  onPick,
  className = "",
  ...rest
}: Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange"> & {
  choices: readonly Choice<Value>[];
  onPick: (value: Value) => void;
}) {
  return (
    <span className={`${css.selectWrap} ${className}`}>
      <select
        {...useFieldProps()}
        {...rest}
        className={`${css.input} ${css.select}`}
        onChange={(event) => onPick(event.target.value as Value)}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </span>
  );
}

export function Checkbox({
  label,
  hint,
  ...rest
}: Omit<InputHTMLAttributes<HTMLInputElement>, "type"> & { label: ReactNode; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className={css.check}>
      <input type="checkbox" id={id} aria-describedby={hint ? `${id}-hint` : undefined} {...rest} />
      <div>
        <label htmlFor={id}>{label}</label>
        {hint && (
          <p id={`${id}-hint`} className={css.hint}>
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}

export function FieldRow({ children }: { children: ReactNode }) {
  return <div className={css.row}>{children}</div>;
}
