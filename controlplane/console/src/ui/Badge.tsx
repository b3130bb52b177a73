import type { ReactNode } from "react";
import css from "./Badge.module.css";

export type BadgeTone = "neutral" | "accent" | "ok" | "warn" | "bad";

export function Badge({ tone = "neutral", dot, children, title }: { tone?: BadgeTone; dot?: boolean; children: ReactNode; title?: string }) {
  return (
    <span className={`${css.badge} ${css[tone]}`} title={title}>
      {dot && <span className={css.dot} aria-hidden="true" />}
      {children}
    </span>
  );
}
