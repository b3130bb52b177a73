// Data for components: TanStack Query with the console's own rules. `pollMs` keeps the data live; polling rests while
// the tab is hidden. Keys are the call's name and arguments; `useRefresh` invalidates by a prefix of them.
import { keepPreviousData, QueryClient, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useCallback } from "react";
import { ApiError } from "./http";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: true,
      // What the server refused it will refuse again; only silence is worth another try.
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
    },
  },
});

export interface LiveOptions {
  pollMs?: number;
  enabled?: boolean;
  keepPrevious?: boolean;
}

export type ApiData<T> = UseQueryResult<T, Error>;

export function useApi<T>(
  key: readonly unknown[],
  read: (signal: AbortSignal) => Promise<T>,
  { pollMs, enabled = true, keepPrevious = false }: LiveOptions = {},
): ApiData<T> {
  return useQuery<T, Error>({
    queryKey: key,
    queryFn: ({ signal }) => read(signal),
    refetchInterval: pollMs ?? false,
    enabled,
    placeholderData: keepPrevious ? keepPreviousData : undefined,
  });
}

export function useRefresh(): (prefix: readonly unknown[]) => Promise<void> {
  const client = useQueryClient();
  return useCallback((prefix) => client.invalidateQueries({ queryKey: prefix }), [client]);
}
