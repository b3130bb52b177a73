// A limit: so much of what, for whom, in which time; the rest has defaults and is folded away.
import { Plus, Trash2 } from "lucide-react";
import type { Json } from "@/graph/json";
import { Button, IconButton } from "@/ui/Button";
import { Checkbox, Field, FieldRow, Select, TextInput } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";
import { FieldRef } from "./FieldRef";
import css from "./forms.module.css";
import { More } from "./More";
import { NumberField } from "./NumberField";
import { OptionalSelect } from "./OptionalSelect";
import { WindowField } from "./WindowField";

const kTypes = [
  { value: "count", label: "requests" },
  { value: "cost", label: "US dollars" },
  { value: "tokens", label: "tokens" },
] as const;

export function LimitForm(props: FormProps) {
  const { properties, faults, set } = props;
  const type = text(properties.limitType);
  const known = kTypes.some((choice) => choice.value === type);
  return (
    <div className={css.stack}>
      <FieldRow>
        <NumberField {...props} name="limit" label={type === "cost" ? "Limit in $" : "Limit"} />
        <Field label="of" error={faultOf(faults, "limitType")}>
          <Select value={type} choices={known ? kTypes : [...kTypes, { value: type, label: type || "choose" }]} onPick={(value) => set("limitType", value)} />
        </Field>
      </FieldRow>
      <WindowField {...props} />
      <KeyFields {...props} />
      <More label="How it counts" open={["technique", "admission", "onError", "shadow", "pool", "unpriced"].some((name) => properties[name] !== undefined)}>
        <Checkbox
          label="Shadow: count, never refuse"
          hint="Try a limit first: what it would have refused stands in the records and headers."
          checked={properties.shadow === true}
          onChange={(event) => set("shadow", event.target.checked ? true : undefined)}
        />
        {type !== "count" && (
          <OptionalSelect
            {...props}
            name="admission"
            label="Admission"
            fallback="strict: nobody gets past the limit"
            choices={[
              { value: "strict", label: "strict: hold the most a request can use" },
              { value: "observed", label: "observed: admit until it is used up" },
            ]}
          />
        )}
        <OptionalSelect
          {...props}
          name="technique"
          label="Technique"
          fallback="fixed: starts anew at the turn of the window"
          choices={[
            { value: "fixed", label: "fixed" },
            { value: "sliding", label: "sliding: the last so many seconds" },
          ]}
        />
        <OptionalSelect
          {...props}
          name="onError"
          label="When the quota service is away"
          fallback={type === "count" ? "allow: let the request through" : "deny: answer 503"}
          choices={[
            { value: "deny", label: "deny: answer 503" },
            { value: "allow", label: "allow: let the request through" },
          ]}
        />
        {type === "cost" && (
          <OptionalSelect
            {...props}
            name="unpriced"
            label="Models without a price"
            fallback="deny: the route does not compile"
            choices={[
              { value: "deny", label: "deny" },
              { value: "allow", label: "allow: they pass, uncounted" },
            ]}
          />
        )}
        <Field label="Pool" optional error={faultOf(faults, "pool")} hint="Limits of one pool share a counter, also across routes. Without one, the element has its own.">
          <TextInput value={text(properties.pool)} placeholder="the element's own" onChange={(event) => set("pool", event.target.value || undefined)} />
        </Field>
      </More>
    </div>
  );
}

// The identifier's fields. One is written as text, several as a list.
function KeyFields({ properties, faults, set }: FormProps) {
  const fields = Array.isArray(properties.key) ? properties.key.map((field) => text(field)) : [text(properties.key)];
  const write = (next: string[]) => set("key", (next.length === 1 ? next[0]! : next) as Json);
  const error = faultOf(faults, "key");
  return (
    <fieldset className={css.stackTight}>
      <legend className={css.legend}>For each</legend>
      {fields.map((field, index) => (
        <div key={index} className={css.listItem}>
          <FieldRef label={`Identifier ${index + 1}`} value={field} onChange={(value) => write(fields.map((old, at) => (at === index ? value : old)))} />
          {fields.length > 1 && (
            <IconButton small label={`Remove identifier ${index + 1}`} icon={<Trash2 />} onClick={() => write(fields.filter((_, at) => at !== index))} />
          )}
        </div>
      ))}
      {error && <p className={css.fault}>{error}</p>}
      {fields.length < 8 && (
        <Button small icon={<Plus />} onClick={() => write([...fields, "metadata.team"])}>
          And each
        </Button>
      )}
    </fieldset>
  );
}
