// A dialog that asks for something and does it: Cancel and the action below, what went wrong above. It stays open until
// `run` closes it.
import { useState, type ReactNode } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Secret } from "./Secret";
import { Notice } from "./States";
import { messageOf } from "./Toast";
import { useAction } from "./useAction";

export function FormDialog({
  title,
  action,
  ready = true,
  wide,
  lead,
  run,
  onClose,
  children,
}: {
  title: string;
  action: string;
  ready?: boolean; // whether the form can be sent
  wide?: boolean;
  lead?: ReactNode; // above what went wrong
  run: () => Promise<void>;
  onClose: () => void;
  children: ReactNode;
}) {
  const [error, setError] = useState("");
  const act = useAction(
    () => {
      setError("");
      return run();
    },
    (failure) => {
      setError(messageOf(failure));
      return true;
    },
  );
  return (
    <Dialog
      title={title}
      wide={wide}
      onClose={onClose}
      onSubmit={() => ready && void act.start()}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={act.busy} disabled={!ready}>
            {action}
          </Button>
        </>
      }
    >
      {lead}
      {error && (
        <Notice tone="bad" live>
          {error}
        </Notice>
      )}
      {children}
    </Dialog>
  );
}

// What was just made, with its text: the one time that it can be seen.
export function SecretDialog({ title, label, secret, note, onClose }: { title: string; label: string; secret: string; note?: string; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose} footer={<Button kind="primary" onClick={onClose}>I have copied it</Button>}>
      <p>Copy it now: it is not stored and cannot be shown again.{note && ` ${note}`}</p>
      <Secret text={secret} label={label} />
    </Dialog>
  );
}
