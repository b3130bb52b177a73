// Short messages at the window's edge, read out as they come. Errors stay until closed.
import { CircleAlert, CircleCheck, X } from "lucide-react";
import { createContext, useCallback, useContext, useRef, useState, type ReactNode } from "react";
import { IconButton } from "./Button";
import css from "./Toast.module.css";

interface Toast {
  id: number;
  text: ReactNode;
  bad: boolean;
}
interface Toaster {
  say: (text: ReactNode) => void;
  fail: (error: unknown) => void;
}

const kShownMs = 5_000;
const ToastContext = createContext<Toaster>({ say: () => {}, fail: () => {} });

export const useToast = () => useContext(ToastContext);

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(1);
  const close = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const add = useCallback(
    (text: ReactNode, bad: boolean) => {
      const id = next.current++;
      setToasts((all) => [...all.slice(-3), { id, text, bad }]);
      if (!bad) setTimeout(() => close(id), kShownMs);
    },
    [close],
  );
  const toaster = useRef<Toaster>({ say: (text) => add(text, false), fail: (error) => add(messageOf(error), true) });
  return (
    <ToastContext.Provider value={toaster.current}>
      {children}
      <div className={css.toasts} role="status" aria-live="polite">
        {toasts.map((toast) => (
          <div key={toast.id} className={`${css.toast} ${toast.bad ? css.bad : ""}`}>
            {toast.bad ? <CircleAlert aria-hidden="true" /> : <CircleCheck aria-hidden="true" />}
            <div className={css.text}>{toast.text}</div>
            <IconButton label="Dismiss" icon={<X />} small onClick={() => close(toast.id)} />
          </div>
        ))}
      </div>
    </ToastContext.Provider>
  );
}
