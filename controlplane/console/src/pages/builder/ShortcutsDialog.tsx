import { Dialog } from "@/ui/Dialog";
import css from "./ShortcutsDialog.module.css";

const kKeys: readonly (readonly [string, string])[] = [
  ["Tab", "next element or control"],
  ["Enter", "select the element in focus; in Blocks: add the block behind the selected element"],
  ["Arrow keys", "move the selected elements"],
  ["Delete", "remove what is selected, elements or connections"],
  ["Ctrl C, X, V", "copy, cut, paste, also between routes"],
  ["Ctrl D", "duplicate"],
  ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
  ["Ctrl A", "select everything"],
  ["Ctrl S", "save"],
  ["Shift drag", "select an area"],
  ["Escape", "select nothing"],
];

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className={css.keys}>
        {kKeys.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className="muted small">“Leads to” in an element's form connects its outputs without a mouse. On a Mac, Ctrl is ⌘.</p>
    </Dialog>
  );
}
