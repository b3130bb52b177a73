// The browser's own modal dialog: it traps focus, closes on Escape and gives focus back. Closing is the caller's.
import { X } from "lucide-react";
import { useEffect, useId, useRef, type FormEvent, type ReactNode } from "react";
import { IconButton } from "./Button";
import css from "./Dialog.module.css";

const kFirst = ["input:not(:disabled), textarea:not(:disabled), select:not(:disabled)", "button[type=submit]", "footer button"];

export function Dialog({
  title,
  onClose,
  onSubmit,
  children,
  footer,
  wide,
}: {
  title: string;
  onClose: () => void;
  onSubmit?: () => void;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) {
      element.showModal();
      // The browser chose the button that closes; a field, or else the action, is what the dialog is about.
      element.querySelector<HTMLElement>(kFirst.find((selector) => element.querySelector(selector)) ?? "button")?.focus();
    }
    return () => element?.close();
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={dialog}
      className={`${css.dialog} ${wide ? css.wide : ""}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={submit} className={css.form} noValidate>
        <header className={css.head}>
          <h2 id={titleId}>{title}</h2>
          <IconButton label="Close" icon={<X />} small onClick={onClose} />
        </header>
        <div className={css.body}>{children}</div>
        {footer && <footer className={css.foot}>{footer}</footer>}
      </form>
    </dialog>
  );
}
