// What a page shows before, instead of and in place of its data.
import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "@/api/http";
import type { ApiData } from "@/api/useApi";
import { Button } from "./Button";
import css from "./States.module.css";
import { messageOf } from "./Toast";

export function Loading({ label = "Loading", rows = 4 }: { label?: string; rows?: number }) {
  return (
    <div className={css.loading} role="status">
      <span className="visually-hidden">{label} …</span>
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} className={css.bar} aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      {icon && (
        <span className={css.icon} aria-hidden="true">
          {icon}
        </span>
      )}
      <h2>{title}</h2>
      {children && <div className={css.text}>{children}</div>}
      {action && <div className={css.actions}>{action}</div>}
    </div>
  );
}

export function Failed({ error, onRetry, what }: { error: unknown; onRetry?: () => void; what?: string }) {
  const status = error instanceof ApiError ? error.status : 0;
  const title =
    status === 403 ? "Your role does not allow this" : status === 404 ? "Not found" : `Could not load ${what ?? "this"}`;
  return (
    <div className={css.empty} role="alert">
      <span className={`${css.icon} ${css.bad}`} aria-hidden="true">
        <CircleAlert />
      </span>
      <h2>{title}</h2>
      <div className={css.text}>{messageOf(error)}</div>
      {onRetry && (
        <div className={css.actions}>
          <Button onClick={onRetry}>Try again</Button>
        </div>
      )}
    </div>
  );
}

// Loading, the error, or the data. Data that was there stays while a later read fails; a strip says so.
export function WithData<T>({
  data,
  what,
  loading,
  children,
}: {
  data: ApiData<T>;
  what: string;
  loading?: ReactNode;
  children: (value: T) => ReactNode;
}) {
  if (data.data !== undefined) {
    return (
      <>
        {data.isError && (
          <Notice tone="warn">
            Not up to date: {messageOf(data.error)} <Button small onClick={() => void data.refetch()}>Try again</Button>
          </Notice>
        )}
        {children(data.data)}
      </>
    );
  }
  if (data.isError) return <Failed error={data.error} what={what} onRetry={() => void data.refetch()} />;
  return loading ?? <Loading label={`Loading ${what}`} />;
}

export type Tone = "info" | "ok" | "warn" | "bad";

export function Notice({ tone = "info", children, live }: { tone?: Tone; children: ReactNode; live?: boolean }) {
  return (
    <div className={`${css.notice} ${css[tone]}`} role={live ? (tone === "bad" ? "alert" : "status") : undefined}>
      {children}
    </div>
  );
}
