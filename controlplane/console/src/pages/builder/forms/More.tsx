import type { ReactNode } from "react";
import css from "./forms.module.css";

export function More({ label, open, children }: { label: string; open: boolean; children: ReactNode }) {
  return (
    <details className={css.more} open={open || undefined}>
      <summary>{label}</summary>
      <div className={css.stack}>{children}</div>
    </details>
  );
}
