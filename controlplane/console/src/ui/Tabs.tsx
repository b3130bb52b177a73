// Tabs that are links: every one has an address.
import type { ReactNode } from "react";
import { Link } from "wouter";
import css from "./Tabs.module.css";

export interface TabLink {
  key: string;
  label: ReactNode;
  href: string;
}

export function LinkTabs({ label, tabs, current }: { label: string; tabs: readonly TabLink[]; current: string }) {
  return (
    <nav aria-label={label} className={css.tabs}>
      {tabs.map((tab) => (
        <Link key={tab.key} href={tab.href} aria-current={tab.key === current ? "page" : undefined}>
          {tab.label}
        </Link>
      ))}
    </nav>
  );
}

// A choice among a few, as one control.
export function Segments<Value extends string>({
  label,
  choices,
  value,
  onPick,
}: {
  label: string;
  choices: readonly { value: Value; label: ReactNode }[];
  value: Value;
  onPick: (value: Value) => void;
}) {
  return (
    <div role="group" aria-label={label} className={css.segments}>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === value}
          onClick={() => onPick(choice.value)}
        >
          {choice.label}
        </button>
      ))}
    </div>
  );
}
