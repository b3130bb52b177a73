// A menu at a place of the window: arrow keys move, Enter picks, Escape closes and gives focus back.
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import css from "./Menu.module.css";

export interface MenuItem {
  key: string;
  label: ReactNode;
  about?: ReactNode;
  icon?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  onPick: () => void;
}

const kEdge = 8;

export function Menu({ label, near, items, onClose }: { label: string; near: DOMRect; items: readonly MenuItem[]; onClose: () => void }) {
  const menu = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ left: near.left, top: near.bottom + 4 });
  useLayoutEffect(() => {
    const box = menu.current!.getBoundingClientRect();
    setPlace({
      left: Math.max(kEdge, Math.min(near.left, innerWidth - box.width - kEdge)),
      top: near.bottom + 4 + box.height > innerHeight - kEdge ? Math.max(kEdge, near.top - box.height - 4) : near.bottom + 4,
    });
  }, [near]);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    menu.current?.querySelector<HTMLElement>("[role=menuitem]:not(:disabled)")?.focus();
    const away = (event: PointerEvent) => {
      if (!menu.current?.contains(event.target as globalThis.Node)) onClose();
    };
    document.addEventListener("pointerdown", away, true);
    return () => {
      document.removeEventListener("pointerdown", away, true);
      if (menu.current === null || menu.current.contains(document.activeElement)) before?.focus?.();
    };
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    const all = [...menu.current!.querySelectorAll<HTMLElement>("[role=menuitem]:not(:disabled)")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      all[(move + all.length) % all.length]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      onClose();
    }
  };
  return (
    <div ref={menu} role="menu" aria-label={label} className={css.menu} style={place} onKeyDown={onKeyDown}>
      {items.map((item) => (
        <button
          key={item.key}
          type="button"
          role="menuitem"
          disabled={item.disabled}
          className={item.danger ? css.danger : ""}
          onClick={() => {
            onClose();
            item.onPick();
          }}
        >
          {item.icon && <span className={css.icon}>{item.icon}</span>}
          <span>
            {item.label}
            {item.about && <span className={css.about}>{item.about}</span>}
          </span>
        </button>
      ))}
    </div>
  );
}
