// The names that filters offer: a gateway's routes, providers and keys.
import { keys, providers, routes } from "@/api/api";
import { allPages } from "@/api/pages";
import { useApi } from "@/api/useApi";
import type { Choice } from "@/ui/Field";

const sorted = (choices: Choice[]) => choices.sort((a, b) => a.label.localeCompare(b.label));

export function useRouteChoices(gateway: string): Choice[] {
  const data = useApi(["routes", gateway], (signal) =>
    allPages((pageToken) => routes.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.routes),
  );
  return sorted((data.data ?? []).map((route) => ({ value: route.name, label: route.name })));
}

export function useProviderChoices(gateway: string): Choice[] {
  const data = useApi(["providers", gateway], (signal) =>
    allPages((pageToken) => providers.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.providers),
  );
  return sorted((data.data ?? []).map((provider) => ({ value: provider.name, label: provider.name })));
}

export function useKeyChoices(gateway: string): Choice[] {
  const data = useApi(["keys", gateway], (signal) =>
    allPages((pageToken) => keys.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.keys),
  );
  return sorted((data.data ?? []).map((key) => ({ value: key.id, label: key.displayName || key.id.slice(0, 8) })));
}
