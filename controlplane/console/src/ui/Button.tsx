import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { Link } from "wouter";
import css from "./Button.module.css";

export type ButtonKind = "primary" | "secondary" | "quiet" | "danger";

interface Look {
  kind?: ButtonKind;
  icon?: ReactNode;
  small?: boolean;
}

const classOf = ({ kind = "secondary", small }: Look, iconOnly: boolean) =>
  [css.button, css[kind], small ? css.small : "", iconOnly ? css.iconOnly : ""].join(" ");

export function Button({
  kind,
  icon,
  small,
  busy,
  children,
  className = "",
  ref,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & Look & { busy?: boolean; ref?: Ref<HTMLButtonElement> }) {
  return (
    <button
      type="button"
      ref={ref}
      {...rest}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      onClick={busy ? undefined : rest.onClick}
      className={`${classOf({ kind, small }, children === undefined)} ${className}`}
    >
      {busy ? <span className={css.spinner} aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}

// A button without text: `label` is its name and its tooltip.
export function IconButton({
  label,
  ...rest
}: Omit<Parameters<typeof Button>[0], "children"> & { label: string; icon: ReactNode }) {
  return <Button kind="quiet" aria-label={label} title={label} {...rest} />;
}

export function ButtonLink({ href, children, kind, icon, small }: Look & { href: string; children: ReactNode }) {
  return (
    <Link href={href} className={classOf({ kind, small }, false)}>
      {icon}
      {children}
    </Link>
  );
}
