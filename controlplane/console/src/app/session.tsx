// Who is signed in. Below SessionProvider a session is certain; without one the sign-in page stands in place of the
// page that was asked for, so an address survives signing in.
import { createContext, useCallback, useContext, useEffect, useState, type ReactNode } from "react";
import { session as api } from "@/api/api";
import { ApiError, setCsrf, setOnSignedOut } from "@/api/http";
import type { Role, Session } from "@/api/types";
import { queryClient } from "@/api/useApi";
import { Failed } from "@/ui/States";
import { SignIn } from "./SignIn";

interface SignedIn {
  session: Session;
  signOut: () => Promise<void>;
  refresh: () => Promise<void>;
}
const SessionContext = createContext<SignedIn | null>(null);

export function useSession(): SignedIn {
  const value = useContext(SessionContext);
  if (value === null) throw new Error("useSession outside of SessionProvider");
  return value;
}

const kRanks: Record<Role, number> = { viewer: 0, editor: 1, deployer: 2, admin: 3 };

// Whether the signed-in role includes `needed`. The server decides; this only explains a button that cannot work.
export function useMay(needed: Role): boolean {
  return kRanks[useSession().session.role] >= kRanks[needed];
}

type State = { kind: "loading" } | { kind: "out"; ended: boolean } | { kind: "in"; session: Session } | { kind: "failed"; error: unknown };

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<State>({ kind: "loading" });

  const enter = useCallback((session: Session) => {
    setCsrf(session.csrf);
    setState({ kind: "in", session });
  }, []);
  const leave = useCallback((ended: boolean) => {
    setCsrf("");
    queryClient.clear();
    setState({ kind: "out", ended });
  }, []);
  const refresh = useCallback(async () => {
    try {
      enter(await api.read());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) leave(false);
      else setState({ kind: "failed", error });
    }
  }, [enter, leave]);

  useEffect(() => {
    setOnSignedOut(() => leave(true));
    void refresh();
  }, [leave, refresh]);

  const signOut = useCallback(async () => {
    try {
      await api.end();
    } finally {
      leave(false);
    }
  }, [leave]);

  switch (state.kind) {
    case "loading":
      return null;
    case "failed":
      return <Failed error={state.error} what="the console" onRetry={() => void refresh()} />;
    case "out":
      return <SignIn ended={state.ended} onSignedIn={enter} />;
    case "in":
      return <SessionContext.Provider value={{ session: state.session, signOut, refresh }}>{children}</SessionContext.Provider>;
  }
}
