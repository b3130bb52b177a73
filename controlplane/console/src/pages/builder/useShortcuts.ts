// The builder's keys. They rest while something is typed, except for saving.
import { useEffect, useRef } from "react";
import { isTyping } from "./useClipboard";

export interface Shortcuts {
  enabled: boolean;
  onUndo: () => void;
  onRedo: () => void;
  onDelete?: () => void;
  onDuplicate?: () => void;
  onSelectAll: () => void;
  onSave?: () => void;
  onHelp: () => void;
  onEscape: () => void;
}

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const keys = latest.current;
      if (!keys.enabled || event.defaultPrevented) return;
      const command = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      const run = (action: (() => void) | undefined) => {
        event.preventDefault();
        action?.();
      };
      if (command && key === "s") return run(keys.onSave);
      if (isTyping(event.target)) return;
      if (command && key === "z") return run(event.shiftKey ? keys.onRedo : keys.onUndo);
      if (command && key === "y") return run(keys.onRedo);
      if (command && key === "d") return run(keys.onDuplicate);
      if (command && key === "a") return run(keys.onSelectAll);
      if (command || event.altKey) return;
      if (event.key === "Delete" || event.key === "Backspace") return run(keys.onDelete);
      if (event.key === "?") return run(keys.onHelp);
      if (event.key === "Escape") keys.onEscape();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}
