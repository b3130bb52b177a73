// A page's script that is there no more: the control plane was upgraded while the console was open. Loading the console
// anew gets the new one; only once in a while, lest a broken installation reloads forever, and not over unsaved work,
// where the page says instead what is wrong and offers it.
import { hasUnsavedWork } from "./leaveGuard";

const kMark = "signalbox.reloaded";
const kPauseMs = 60_000;

export function reloadWhenOutdated(): void {
  window.addEventListener("vite:preloadError", (event) => {
    if (hasUnsavedWork() || Date.now() - Number(sessionStorage.getItem(kMark)) < kPauseMs) return;
    sessionStorage.setItem(kMark, String(Date.now()));
    event.preventDefault();
    location.reload();
  });
}
