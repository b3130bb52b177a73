// State that lives in the address's query, so that what is selected or filtered can be linked to. Changes start from the
// address as it is at that moment: several in a row do not undo each other.
import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

export function useQueryState(name: string, fallback = ""): [string, (value: string) => void] {
  const [, navigate] = useLocation();
  const value = new URLSearchParams(useSearch()).get(name) ?? fallback;
  const set = useCallback(
    (next: string) => {
      const after = new URLSearchParams(window.location.search);
      if ((after.get(name) ?? fallback) === next) return;
      if (next === fallback) after.delete(name);
      else after.set(name, next);
      const query = after.toString();
      navigate(window.location.pathname + (query === "" ? "" : `?${query}`), { replace: true });
    },
    [fallback, name, navigate],
  );
  return [value, set];
}
