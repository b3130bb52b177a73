// The frame of a page: title, what stands beside it, and cards.
import { useEffect, type ReactNode } from "react";
import { Link } from "wouter";
import css from "./Page.module.css";

export interface Crumb {
  label: string;
  href: string;
}

export function usePageTitle(title: string) {
  useEffect(() => {
    document.title = `${title} · Signalbox`;
  }, [title]);
}

export function Page({
  title,
  crumbs,
  lead,
  actions,
  children,
  fill,
}: {
  title: string;
  crumbs?: readonly Crumb[];
  lead?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  fill?: boolean;
}) {
  usePageTitle(title);
  return (
    <div className={fill ? css.fill : css.page}>
      <header className={css.head}>
        <div className={css.titles}>
          {crumbs && (
            <nav aria-label="Breadcrumb" className={css.crumbs}>
              {crumbs.map((crumb) => (
                <Link key={crumb.href} href={crumb.href}>
                  {crumb.label}
                </Link>
              ))}
            </nav>
          )}
          <h1>{title}</h1>
          {lead && <p className={css.lead}>{lead}</p>}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Card({
  title,
  actions,
  children,
  flush,
  label,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  label?: string;
}) {
  return (
    <section className={css.card} aria-label={label ?? (typeof title === "string" ? title : undefined)}>
      {(title || actions) && (
        <header className={css.cardHead}>
          <h2>{title}</h2>
          {actions && <div className={css.actions}>{actions}</div>}
        </header>
      )}
      <div className={flush ? css.flush : css.cardBody}>{children}</div>
    </section>
  );
}
