// Sets a model's price in this gateway, in place of the catalogue's.
import { useState } from "react";
import { prices as api } from "@/api/api";
import type { ModelPrice } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Checkbox, Field, FieldRow, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { useToast } from "@/ui/Toast";
import { formOf, kRates, priceOf, type PriceForm } from "./form";

export function PriceDialog({ gateway, price, onClose }: { gateway: string; price?: ModelPrice; onClose: () => void }) {
  const [form, setForm] = useState<PriceForm>(() => formOf(price));
  const refresh = useRefresh();
  const toast = useToast();
  const set = (changes: Partial<PriceForm>) => setForm((old) => ({ ...old, ...changes }));
  const result = priceOf(form, price);
  const varies = price !== undefined && (price.tiers.length > 0 || price.times.length > 0);
  const save = async () => {
    if (result.price === null) return;
    await api.set(gateway, result.price);
    await refresh(["prices", gateway]);
    toast.say(`The price of ${result.price.provider}/${result.price.model} is set.`);
    onClose();
  };
  return (
    <FormDialog
      title={price ? `Override ${price.provider}/${price.model}` : "Set a price"}
      action="Set"
      ready={result.price !== null}
      lead={<p>Dollars per million tokens, from now on and in this gateway only. What was spent stays as it was reckoned.</p>}
      run={save}
      onClose={onClose}
    >
      {!price && (
        <FieldRow>
          <Field label="Provider">
            <TextInput autoFocus value={form.provider} onChange={(event) => set({ provider: event.target.value })} />
          </Field>
          <Field label="Model">
            <TextInput value={form.model} onChange={(event) => set({ model: event.target.value })} />
          </Field>
        </FieldRow>
      )}
      <FieldRow>
        {kRates.map(({ field, label, optional }) => (
          <Field key={field} label={label} optional={optional} hint={optional ? "Empty: as input." : undefined} error={result.wrong.includes(field) ? "Dollars, at most nine decimals." : undefined}>
            <TextInput inputMode="decimal" value={form.rates[field] ?? ""} onChange={(event) => set({ rates: { ...form.rates, [field]: event.target.value } })} />
          </Field>
        ))}
      </FieldRow>
      <Field label="Most output tokens" optional hint="What an answer can have at most; a strict limit holds as much. Empty: as it is now.">
        <TextInput inputMode="numeric" value={form.maxOutput} onChange={(event) => set({ maxOutput: event.target.value })} />
      </Field>
      {varies && (
        <Checkbox
          label="The same at every length and time"
          hint="Else its other rates, for long inputs or some times, stay as they are in force."
          checked={form.flat}
          onChange={(event) => set({ flat: event.target.checked })}
        />
      )}
    </FormDialog>
  );
}
