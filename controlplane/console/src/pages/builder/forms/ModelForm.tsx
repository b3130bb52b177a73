// A model: whose, which, how long to wait, how often to try, and what to change in the request.
import { prices as pricesApi, providers as providersApi } from "@/api/api";
import { allPages } from "@/api/pages";
import { useApi } from "@/api/useApi";
import { Field, FieldRow, TextInput } from "@/ui/Field";
import { faultOf, text, type FormProps } from "./context";
import css from "./forms.module.css";
import { JsonField } from "./JsonField";
import { More } from "./More";
import { NumberField } from "./NumberField";
import { OptionalSelect } from "./OptionalSelect";

const kModelsShown = 200;

export function ModelForm(props: FormProps) {
  const { gateway, properties, faults, set } = props;
  const providers = useApi(["providers", gateway], (signal) => providersApi.list(gateway, { pageSize: 500 }, signal));
  const prices = useApi(["prices", gateway], (signal) =>
    allPages((pageToken) => pricesApi.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.prices),
  );
  const provider = text(properties.provider);
  const models = (prices.data ?? []).filter((price) => price.provider === provider).slice(0, kModelsShown);
  return (
    <div className={css.stack}>
      <Field label="Provider" error={faultOf(faults, "provider")}>
        <TextInput list="providers" placeholder="openai" value={provider} onChange={(event) => set("provider", event.target.value)} />
        <datalist id="providers">
          {(providers.data?.providers ?? []).map((one) => (
            <option key={one.name} value={one.name} />
          ))}
        </datalist>
      </Field>
      <Field label="Model" error={faultOf(faults, "model")} hint="As the provider calls it.">
        <TextInput list="models" placeholder="gpt-4o-mini" value={text(properties.model)} onChange={(event) => set("model", event.target.value)} />
        <datalist id="models">
          {models.map((price) => (
            <option key={price.model} value={price.model} />
          ))}
        </datalist>
      </Field>
      <FieldRow>
        <NumberField {...props} name="timeout" label="Timeout, ms" optional placeholder="none" hint="To the first byte." />
        <NumberField {...props} name="retries" label="Retries" optional placeholder="0" hint="Then it fails over." />
      </FieldRow>
      <More label="Backoff and parameters" open={properties.backoff !== undefined || properties.parameters !== undefined}>
        <OptionalSelect
          {...props}
          name="backoff"
          label="Wait between attempts"
          fallback="exponential"
          choices={[
            { value: "constant", label: "constant" },
            { value: "linear", label: "linear" },
            { value: "exponential", label: "exponential" },
          ]}
        />
        <JsonField
          label="Parameters"
          hint={'Merged over the request, e.g. {"temperature": 0.2}. An output cap is lowered, never raised.'}
          error={faultOf(faults, "parameters")}
          value={properties.parameters}
          onChange={(value) => set("parameters", value)}
        />
      </More>
    </div>
  );
}
