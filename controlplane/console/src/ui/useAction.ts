// Runs a changing call once at a time; its failure becomes a toast unless `onError` takes it.
import { useCallback, useRef, useState } from "react";
import { useToast } from "./Toast";

export function useAction<Args extends unknown[], Result>(
  run: (...args: Args) => Promise<Result>,
  onError?: (error: unknown) => boolean,
): { start: (...args: Args) => Promise<Result | undefined>; busy: boolean } {
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const latest = useRef({ run, onError });
  latest.current = { run, onError };
  const toast = useToast();
  const start = useCallback(
    async (...args: Args) => {
      if (running.current) return undefined;
      running.current = true;
      setBusy(true);
      try {
        return await latest.current.run(...args);
      } catch (error) {
        if (!latest.current.onError?.(error)) toast.fail(error);
        return undefined;
      } finally {
        running.current = false;
        setBusy(false);
      }
    },
    [toast],
  );
  return { start, busy };
}
