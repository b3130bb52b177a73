// `await confirm({...})` asks and answers true or false; one question at a time.
import { createContext, useCallback, useContext, useState, type ReactNode } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

export interface Question {
  title: string;
  body: ReactNode;
  action: string;
  danger?: boolean;
  cancel?: string;
}

type Ask = (question: Question) => Promise<boolean>;
const ConfirmContext = createContext<Ask>(() => Promise.resolve(false));

export const useConfirm = () => useContext(ConfirmContext);

export function ConfirmProvider({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState<{ question: Question; answer: (yes: boolean) => void } | null>(null);
  const ask = useCallback<Ask>(
    (question) => new Promise((resolve) => setOpen({ question, answer: resolve })),
    [],
  );
  const close = (yes: boolean) => {
    open?.answer(yes);
    setOpen(null);
  };
  return (
    <ConfirmContext.Provider value={ask}>
      {children}
      {open && (
        <Dialog
          title={open.question.title}
          onClose={() => close(false)}
          onSubmit={() => close(true)}
          footer={
            <>
              <Button onClick={() => close(false)}>{open.question.cancel ?? "Cancel"}</Button>
              <Button type="submit" kind={open.question.danger ? "danger" : "primary"} autoFocus>
                {open.question.action}
              </Button>
            </>
          }
        >
          <div>{open.question.body}</div>
        </Dialog>
      )}
    </ConfirmContext.Provider>
  );
}
