import { useState } from "react";
import { routes as api } from "@/api/api";
import type { Route } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Field, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { useToast } from "@/ui/Toast";

export function RenameDialog({ gateway, route, onClose }: { gateway: string; route: Route; onClose: () => void }) {
  const [name, setName] = useState(route.name);
  const refresh = useRefresh();
  const toast = useToast();
  const rename = async () => {
    await api.rename(gateway, route.name, name.trim(), route.etag);
    await refresh(["routes", gateway]);
    toast.say(`${route.name} is now called ${name.trim()}.`);
    onClose();
  };
  return (
    <FormDialog title={`Rename ${route.name}`} action="Rename" ready={name.trim() !== "" && name.trim() !== route.name} run={rename} onClose={onClose}>
      <Field
        label="New name"
        hint="Clients call the route by its name: whoever calls the old one gets 404 from now on. Versions and counters stay."
      >
        <TextInput autoFocus value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
