import { useState } from "react";
import { session as api } from "@/api/api";
import { ApiError } from "@/api/http";
import type { Session } from "@/api/types";
import { Button } from "@/ui/Button";
import { Field, TextInput } from "@/ui/Field";
import { usePageTitle } from "@/ui/Page";
import { Notice } from "@/ui/States";
import { messageOf } from "@/ui/Toast";
import { Logo } from "./Logo";
import css from "./SignIn.module.css";

export function SignIn({ ended, onSignedIn }: { ended: boolean; onSignedIn: (session: Session) => void }) {
  usePageTitle("Sign in");
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (token.trim() === "") return setError("Paste a token to sign in.");
    setBusy(true);
    setError("");
    try {
      onSignedIn(await api.start(token.trim()));
    } catch (failure) {
      const refused = failure instanceof ApiError && failure.status === 401;
      setError(refused ? "This token is not known here, or it was revoked." : messageOf(failure));
      setBusy(false);
    }
  };
  return (
    <main className={css.page}>
      <div className={css.card}>
        <Logo />
        <div>
          <h1>Sign in</h1>
          <p className={css.lead}>The console uses the same tokens as signalboxctl and the API.</p>
        </div>
        {ended && (
          <Notice tone="warn" live>
            Your session has ended. Sign in to go on where you were.
          </Notice>
        )}
        <form
          className={css.form}
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <Field
            label="Access token"
            error={error}
            hint={
              <>
                The first admin token is in <code>admin.token</code> in the control plane's data directory; deploy/run
                shows it when it starts.
              </>
            }
          >
            <TextInput
              type="password"
              name="token"
              mono
              autoFocus
              autoComplete="current-password"
              placeholder="sbt_…"
              value={token}
              onChange={(event) => setToken(event.target.value)}
            />
          </Field>
          <Button type="submit" kind="primary" busy={busy}>
            Sign in
          </Button>
        </form>
      </div>
    </main>
  );
}
