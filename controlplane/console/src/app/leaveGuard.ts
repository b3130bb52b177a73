// While a page has unsaved work, leaving it asks first: `setLeaveGuard` names the addresses that count as staying. The
// browser's own question covers closing the window.
import type { Question } from "@/ui/Confirm";

interface Guard {
  stays: (path: string) => boolean;
  question: Question;
}

let guard: Guard | null = null;
let left = false; // with unsaved work, which this tab still has

export function setLeaveGuard(next: Guard | null): void {
  guard = next;
}

export const hasUnsavedWork = () => guard !== null || left;

window.addEventListener("beforeunload", (event) => {
  if (guard !== null) event.preventDefault();
});

// Goes on at once where nothing is to be asked, else once the answer is yes.
export function passGuard(path: string, ask: (question: Question) => Promise<boolean>, goOn: () => void): void {
  if (guard === null || guard.stays(path.split("?")[0] ?? path)) return goOn();
  void ask(guard.question).then((yes) => {
    if (!yes) return;
    guard = null;
    left = true;
    goOn();
  });
}
