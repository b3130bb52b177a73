// Several filters in the address's query. Changing one leaves the list's page, which belongs to the former filters.
import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";

export interface FilterState<Name extends string> {
  values: Record<Name, string>;
  any: boolean;
  set: (changes: Partial<Record<Name, string>>) => void;
  clear: () => void;
}

const kPage = "after";

export function useFilters<Name extends string>(names: readonly Name[]): FilterState<Name> {
  const [, navigate] = useLocation();
  const search = useSearch();
  const list = names.join(" ");
  const values = useMemo(() => {
    const query = new URLSearchParams(search);
    return Object.fromEntries(list.split(" ").map((name) => [name, query.get(name) ?? ""])) as Record<Name, string>;
  }, [list, search]);
  const set = useCallback(
    (changes: Partial<Record<Name, string>>) => {
      const query = new URLSearchParams(window.location.search);
      for (const [name, value] of Object.entries<string | undefined>(changes)) {
        if (value) query.set(name, value);
        else query.delete(name);
      }
      query.delete(kPage);
      const text = query.toString();
      navigate(window.location.pathname + (text === "" ? "" : `?${text}`), { replace: true });
    },
    [navigate],
  );
  const clear = useCallback(
    () => set(Object.fromEntries(list.split(" ").map((name) => [name, ""])) as Partial<Record<Name, string>>),
    [list, set],
  );
  return { values, any: Object.values(values).some((value) => value !== ""), set, clear };
}
