// Saves a version with a comment, as a draft when it does not compile, and settles what to do when somebody else saved
// meanwhile.
import { useState } from "react";
import { routes as api } from "@/api/api";
import { ApiError } from "@/api/http";
import type { Route } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { Field, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { Notice } from "@/ui/States";
import { useToast } from "@/ui/Toast";
import { routeKey } from "../route/useRoute";
import { positionsOf, type RouteEditor } from "./useRouteDocument";
import { isError, type Validation } from "./useValidation";

export function SaveDialog({
  gateway,
  route,
  editor,
  validation,
  onClose,
  onConflict,
}: {
  gateway: string;
  route: Route;
  editor: RouteEditor;
  validation: Validation;
  onClose: () => void;
  onConflict: (comment: string) => void;
}) {
  const [comment, setComment] = useState("");
  const save = useSave(gateway, route, editor);
  const errors = validation.faults.filter(isError).length;
  const run = async () => {
    try {
      await save(editor.saved.etag, comment);
    } catch (failure) {
      if (failure instanceof ApiError && failure.code === "aborted") return onConflict(comment);
      throw failure;
    }
    onClose();
  };
  return (
    <FormDialog title="Save a version" action={errors > 0 ? "Save as draft" : "Save"} run={run} onClose={onClose}>
      {errors > 0 && (
        <Notice tone="warn">
          It does not compile yet ({errors} {errors === 1 ? "fault" : "faults"}), so it is saved as a draft, which cannot be deployed.
        </Notice>
      )}
      <Field label="Comment" optional hint="What changed, and why. It stands beside the version.">
        <TextInput autoFocus name="comment" maxLength={1000} value={comment} onChange={(event) => setComment(event.target.value)} />
      </Field>
      <p className="muted small">A saved version serves nothing until it is deployed.</p>
    </FormDialog>
  );
}

// One save with the given etag; what the server then has becomes what the editor compares with.
export function useSave(gateway: string, route: Route, editor: RouteEditor) {
  const refresh = useRefresh();
  const toast = useToast();
  return async (etag: string, comment: string) => {
    const json = editor.text;
    const positionsJson = positionsOf(editor.doc);
    const saved = await api.save(gateway, route.id, { json, etag, comment, positionsJson, allowDraft: true });
    editor.markSaved({ text: json, positions: positionsJson, etag: saved.route.etag, version: saved.version.number, base: saved.route.latestVersion });
    await refresh(routeKey(gateway, route.name));
    await refresh(["routes", gateway]);
    if (saved.unchanged) toast.say("The same graph as the latest version; its layout was kept.");
    else toast.say(`Version ${saved.version.number} is saved${saved.version.compiles ? "" : " as a draft"}.`);
    return saved;
  };
}
