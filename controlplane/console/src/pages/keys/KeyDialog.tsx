// Makes a key, then shows its text: the one time it can be seen.
import { useState } from "react";
import { keys as api } from "@/api/api";
import type { CreateKeyResponse } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { useRouteChoices } from "@/app/useNames";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { Checkbox, Field, FieldRow, TextArea, TextInput } from "@/ui/Field";
import { Secret } from "@/ui/Secret";
import { Notice } from "@/ui/States";
import { messageOf } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import css from "./Keys.module.css";
import { wrongMetadata } from "./state";

export function KeyDialog({ gateway, onClose }: { gateway: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [pinned, setPinned] = useState("");
  const [allowed, setAllowed] = useState<string[]>([]);
  const [ends, setEnds] = useState("");
  const [cacheGroup, setCacheGroup] = useState("");
  const [error, setError] = useState("");
  const [made, setMade] = useState<CreateKeyResponse | null>(null);
  const choices = useRouteChoices(gateway);
  const refresh = useRefresh();
  const wrong = wrongMetadata(pinned);
  const create = useAction(
    async () => {
      setError("");
      const answer = await api.create(gateway, {
        displayName: name.trim(),
        pinnedMetadataJson: pinned.trim() || undefined,
        allowedRoutes: allowed,
        expireTime: ends === "" ? undefined : new Date(ends).toISOString(),
        cacheGroup: cacheGroup.trim() || undefined,
      });
      setMade(answer);
      await refresh(["keys", gateway]);
    },
    (failure) => {
      setError(messageOf(failure));
      return true;
    },
  );
  if (made !== null) {
    return (
      <Dialog title={`${made.key.displayName || "The key"} is made`} onClose={onClose} footer={<Button kind="primary" onClick={onClose}>I have copied it</Button>}>
        <p>Copy it now: it is not stored and cannot be shown again.</p>
        <Secret text={made.secret} label="The key" />
      </Dialog>
    );
  }
  return (
    <Dialog
      title="Create a key"
      onClose={onClose}
      onSubmit={() => name.trim() !== "" && wrong === "" && void create.start()}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={create.busy} disabled={name.trim() === "" || wrong !== ""}>
            Create
          </Button>
        </>
      }
    >
      {error && (
        <Notice tone="bad" live>
          {error}
        </Notice>
      )}
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
    </Dialog>
  );
}
