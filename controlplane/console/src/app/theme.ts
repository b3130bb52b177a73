// Light, dark, or as the system says; remembered in this browser.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const kStorageKey = "signalbox.theme";
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const value = localStorage.getItem(kStorageKey);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

let theme: Theme = stored();

export function applyTheme(): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem(kStorageKey, next);
  } catch {
    // Private windows may refuse storage; the choice then lasts until the page is closed.
  }
  applyTheme();
  listeners.forEach((listener) => listener());
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => theme,
  );
}
