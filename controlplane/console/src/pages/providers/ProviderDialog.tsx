// Adds or changes a provider. Secrets are written, never read: an empty field keeps what is stored.
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { providers as api } from "@/api/api";
import type { Provider } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Button, IconButton } from "@/ui/Button";
import { Checkbox, Field, FieldRow, Select, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { Pairs } from "@/ui/Pairs";
import { useToast } from "@/ui/Toast";
import { emptyEndpoint, formOf, kKinds, requestOf, wrongWith, type EndpointForm, type ProviderForm } from "./form";
import css from "./Providers.module.css";

const kStored = "stored; empty keeps it";

export function ProviderDialog({ gateway, provider, onClose }: { gateway: string; provider?: Provider; onClose: () => void }) {
  const [form, setForm] = useState<ProviderForm>(() => formOf(provider));
  const refresh = useRefresh();
  const toast = useToast();
  const set = (changes: Partial<ProviderForm>) => setForm((old) => ({ ...old, ...changes }));
  const setEndpoint = (index: number, changes: Partial<EndpointForm>) =>
    set({ endpoints: form.endpoints.map((old, at) => (at === index ? { ...old, ...changes } : old)) });
  const kind = kKinds.find((candidate) => candidate.value === form.kind) ?? kKinds[0]!;
  const save = async () => {
    const wrong = wrongWith(form);
    if (wrong) throw new Error(wrong);
    await api.apply(gateway, form.name.trim(), requestOf(form));
    await Promise.all([refresh(["providers", gateway]), refresh(["provider-status", gateway])]);
    toast.say(provider ? `${form.name} is changed; the proxies have it.` : `${form.name} is added.`);
    onClose();
  };
  return (
    <FormDialog wide title={provider ? `Change ${provider.name}` : "Add a provider"} action={provider ? "Save" : "Add"} ready={form.name.trim() !== ""} run={save} onClose={onClose}>
      <FieldRow>
        <Field label="Name" hint={provider ? "Routes name it; it stays." : "What routes call it: openai, anthropic, groq …"}>
          <TextInput autoFocus={!provider} disabled={provider !== undefined} value={form.name} onChange={(event) => set({ name: event.target.value })} />
        </Field>
        <Field label="Speaks" hint={kind.about}>
          <Select value={form.kind} choices={kKinds} onPick={(next) => set({ kind: next })} />
        </Field>
      </FieldRow>
      <Field label="Base URL" optional hint="Up to and including the version. Empty: the well-known one of that name.">
        <TextInput inputMode="url" placeholder="https://api.example.com/v1" value={form.baseUrl} onChange={(event) => set({ baseUrl: event.target.value })} />
      </Field>
      <Field label="Secret" optional={!provider?.hasSecret} hint={kind.secretHint}>
        <TextInput type="password" autoComplete="new-password" placeholder={provider?.hasSecret ? kStored : ""} value={form.secret} onChange={(event) => set({ secret: event.target.value })} />
      </Field>
      <fieldset className={css.endpoints}>
        <legend className={css.legend}>Endpoints</legend>
        <p className={css.hint}>Several keys or places of one provider, drawn by weight. None: one, with the base URL and secret above.</p>
        {form.endpoints.map((endpoint, index) => (
          <div key={index} className={css.endpoint}>
            <Field label={`Name of endpoint ${index + 1}`}>
              <TextInput value={endpoint.name} onChange={(event) => setEndpoint(index, { name: event.target.value })} />
            </Field>
            <Field label="Weight">
              <TextInput inputMode="numeric" value={endpoint.weight} onChange={(event) => setEndpoint(index, { weight: event.target.value })} />
            </Field>
            <Field label="Base URL">
              <TextInput inputMode="url" placeholder="the provider's" value={endpoint.baseUrl} onChange={(event) => setEndpoint(index, { baseUrl: event.target.value })} />
            </Field>
            <Field label="Secret">
              <TextInput type="password" autoComplete="new-password" placeholder={endpoint.hasSecret ? kStored : ""} value={endpoint.secret} onChange={(event) => setEndpoint(index, { secret: event.target.value })} />
            </Field>
            <IconButton label={`Remove endpoint ${endpoint.name || index + 1}`} icon={<Trash2 />} onClick={() => set({ endpoints: form.endpoints.filter((_, at) => at !== index) })} />
          </div>
        ))}
        <Button small kind="quiet" icon={<Plus />} onClick={() => set({ endpoints: [...form.endpoints, emptyEndpoint()] })}>
          Add an endpoint
        </Button>
      </fieldset>
      <Pairs legend="Headers sent with every call" one="header" pairs={form.headers} onChange={(headers) => set({ headers })} />
      <Pairs legend={`Options${kind.options ? ` (${kind.options})` : ""}`} one="option" pairs={form.options} onChange={(options) => set({ options })} />
      <Checkbox
        label="Probe its health"
        hint="Each proxy asks each endpoint; below 500 is healthy. Without, only calls tell."
        checked={form.probe}
        onChange={(event) => set({ probe: event.target.checked })}
      />
      {form.probe && (
        <FieldRow>
          <Field label="Path under the base URL">
            <TextInput value={form.probePath} onChange={(event) => set({ probePath: event.target.value })} />
          </Field>
          <Field label="Every, seconds">
            <TextInput inputMode="numeric" value={form.probeSeconds} onChange={(event) => set({ probeSeconds: event.target.value })} />
          </Field>
        </FieldRow>
      )}
    </FormDialog>
  );
}
