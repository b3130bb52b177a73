import { useState } from "react";
import { routes as api } from "@/api/api";
import type { Route } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { Field, TextInput } from "@/ui/Field";
import { messageOf, useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";

export function RenameDialog({ gateway, route, onClose }: { gateway: string; route: Route; onClose: () => void }) {
  const [name, setName] = useState(route.name);
  const [error, setError] = useState("");
  const refresh = useRefresh();
  const toast = useToast();
  const rename = useAction(
    async () => {
      await api.rename(gateway, route.name, name.trim(), route.etag);
      await refresh(["routes", gateway]);
      toast.say(`${route.name} is now called ${name.trim()}.`);
      onClose();
    },
    (failure) => {
      setError(messageOf(failure));
      return true;
    },
  );
  return (
    <Dialog
      title={`Rename ${route.name}`}
      onClose={onClose}
      onSubmit={() => void rename.start()}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={rename.busy} disabled={name.trim() === "" || name.trim() === route.name}>
            Rename
          </Button>
        </>
      }
    >
      <Field
        label="New name"
        error={error}
        hint="Clients call the route by its name: whoever calls the old one gets 404 from now on. Versions and counters stay."
      >
        <TextInput autoFocus value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
    </Dialog>
  );
}
