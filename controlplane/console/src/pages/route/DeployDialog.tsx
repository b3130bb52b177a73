// Deploys or rolls back, then watches the fleet take it: each proxy turns green, or red with its reason.
import { useState } from "react";
import { routes as api } from "@/api/api";
import type { DeployResponse, Route } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Button } from "@/ui/Button";
import { Dialog } from "@/ui/Dialog";
import { Field, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { FleetProgress } from "./FleetProgress";
import { routeKey } from "./useRoute";

export function DeployDialog({
  gateway,
  route,
  version,
  rollback,
  onClose,
}: {
  gateway: string;
  route: Route;
  version: string;
  rollback?: boolean;
  onClose: () => void;
}) {
  const refresh = useRefresh();
  const [comment, setComment] = useState("");
  const [started, setStarted] = useState(0);
  const [answer, setAnswer] = useState<DeployResponse | null>(null);
  const live = route.deployedVersion;
  const [before] = useState(live);

  const deploy = async () => {
    setStarted(Date.now());
    const done = rollback
      ? await api.rollback(gateway, route.id, { to: version, comment })
      : await api.deploy(gateway, route.id, { version, comment });
    setAnswer(done);
    await refresh(routeKey(gateway, route.name));
    await refresh(["routes", gateway]);
  };

  if (answer !== null) {
    return (
      <Dialog title={`Version ${answer.deployment.version} is deployed`} onClose={onClose} footer={<Button kind="primary" autoFocus onClick={onClose}>Done</Button>}>
        <FleetProgress sequence={answer.deployment.snapshotSequence} since={started} />
      </Dialog>
    );
  }
  return (
    <FormDialog
      title={rollback ? `Roll back to version ${version}?` : `Deploy version ${version}`}
      action={rollback ? "Roll back" : "Deploy"}
      lead={
        <p>
          {before === "0"
            ? "Every proxy starts to serve the route with it; nothing serves it now."
            : before === version
              ? "This version already serves; deploying it again changes nothing but the record."
              : `Every proxy takes it in place of version ${before}. Requests under way end with the version they began with.`}
        </p>
      }
      run={deploy}
      onClose={onClose}
    >
      <Field label="Comment" optional>
        <TextInput autoFocus name="comment" maxLength={1000} value={comment} onChange={(event) => setComment(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
