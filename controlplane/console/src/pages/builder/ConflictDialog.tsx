// Somebody else saved since this graph was opened: look at the difference, save on top of theirs, or take theirs.
import { useLocation } from "wouter";
import { routes as api } from "@/api/api";
import type { Route } from "@/api/types";
import { useApi, useRefresh } from "@/api/useApi";
import { paths } from "@/app/paths";
import { Button } from "@/ui/Button";
import { useConfirm } from "@/ui/Confirm";
import { Dialog } from "@/ui/Dialog";
import { useAction } from "@/ui/useAction";
import { routeKey } from "../route/useRoute";
import { useSave } from "./SaveDialog";
import type { RouteEditor } from "./useRouteDocument";

export function ConflictDialog({
  gateway,
  route,
  editor,
  comment,
  onClose,
}: {
  gateway: string;
  route: Route;
  editor: RouteEditor;
  comment: string;
  onClose: () => void;
}) {
  const [, navigate] = useLocation();
  const confirm = useConfirm();
  const refresh = useRefresh();
  const save = useSave(gateway, route, editor);
  const latest = useApi([...routeKey(gateway, route.name), "version", "0", "conflict"], (signal) => api.version(gateway, route.id, "0", signal));
  const theirs = latest.data;

  const onTop = useAction(async () => {
    const now = await api.get(gateway, route.id);
    await save(now.etag, comment);
    onClose();
  });
  const take = useAction(async () => {
    const yes = await confirm({
      title: "Drop your changes?",
      body: "The version that was saved meanwhile is opened in their place.",
      action: "Drop mine",
      danger: true,
    });
    if (!yes) return;
    const [now, version] = await Promise.all([api.get(gateway, route.id), api.version(gateway, route.id, "0")]);
    editor.takeTheirs(now, version);
    await refresh(routeKey(gateway, route.name));
    onClose();
  });

  return (
    <Dialog
      title="Somebody else saved meanwhile"
      onClose={onClose}
      onSubmit={() => void onTop.start()}
      footer={
        <>
          <Button onClick={() => void take.start()} busy={take.busy}>
            Take theirs
          </Button>
          <Button
            disabled={!theirs}
            onClick={() => {
              onClose();
              navigate(paths.diff(gateway, route.name, editor.saved.base, theirs?.number ?? "0"));
            }}
          >
            See what changed
          </Button>
          <Button type="submit" kind="primary" busy={onTop.busy}>
            Save mine on top
          </Button>
        </>
      }
    >
      <p>
        You began with version {editor.saved.base}.{" "}
        {theirs ? (
          <>
            Since then <strong>{theirs.author}</strong> saved version {theirs.number}
            {theirs.comment ? `: “${theirs.comment}”` : ""}.
          </>
        ) : (
          "There is a newer one now."
        )}
      </p>
      <p>Nothing is lost either way: every version stays. Your changes are kept here while you look at theirs.</p>
    </Dialog>
  );
}
