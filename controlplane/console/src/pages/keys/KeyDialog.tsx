// Makes a key, then shows its text: the one time it can be seen.
import { useState } from "react";
import { keys as api } from "@/api/api";
import type { CreateKeyResponse } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { useRouteChoices } from "@/app/useNames";
import { Checkbox, Field, FieldRow, TextArea, TextInput } from "@/ui/Field";
import { FormDialog, SecretDialog } from "@/ui/FormDialog";
import css from "./Keys.module.css";
import { wrongMetadata } from "./state";

export function KeyDialog({ gateway, onClose }: { gateway: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [pinned, setPinned] = useState("");
  const [allowed, setAllowed] = useState<string[]>([]);
  const [ends, setEnds] = useState("");
  const [cacheGroup, setCacheGroup] = useState("");
  const [made, setMade] = useState<CreateKeyResponse | null>(null);
  const choices = useRouteChoices(gateway);
  const refresh = useRefresh();
  const wrong = wrongMetadata(pinned);
  const create = async () => {
    const answer = await api.create(gateway, {
      displayName: name.trim(),
      pinnedMetadataJson: pinned.trim() || undefined,
      allowedRoutes: allowed,
      expireTime: ends === "" ? undefined : new Date(ends).toISOString(),
      cacheGroup: cacheGroup.trim() || undefined,
    });
    setMade(answer);
    await refresh(["keys", gateway]);
  };
  if (made !== null) {
    return <SecretDialog title={`${made.key.displayName || "The key"} is made`} label="The key" secret={made.secret} onClose={onClose} />;
  }
  return (
    <FormDialog title="Create a key" action="Create" ready={name.trim() !== "" && wrong === ""} run={create} onClose={onClose}>
      <Field label="Name" hint="Which application it is for.">
        <TextInput autoFocus maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Pinned metadata" optional error={wrong} hint="A JSON object, merged over what a request says.">
        <TextArea mono rows={3} placeholder={'{"plan":"free"}'} value={pinned} onChange={(event) => setPinned(event.target.value)} />
      </Field>
      <fieldset>
        <legend className={css.legend}>Allowed routes</legend>
        <p className={css.hint}>{allowed.length === 0 ? "None chosen: every route of the gateway." : "Only those chosen."}</p>
        <div className={css.choices}>
          {choices.map((choice) => (
            <Checkbox
              key={choice.value}
              label={choice.label}
              checked={allowed.includes(choice.value)}
              onChange={(event) => setAllowed(event.target.checked ? [...allowed, choice.value] : allowed.filter((route) => route !== choice.value))}
            />
          ))}
          {choices.length === 0 && <p className="muted small">There is no route yet.</p>}
        </div>
      </fieldset>
      <FieldRow>
        <Field label="Ends" optional hint="Empty: never.">
          <TextInput type="datetime-local" value={ends} onChange={(event) => setEnds(event.target.value)} />
        </Field>
        <Field label="Cache group" optional hint="Keys of one group share cached answers.">
          <TextInput value={cacheGroup} onChange={(event) => setCacheGroup(event.target.value)} />
        </Field>
      </FieldRow>
    </FormDialog>
  );
}
