import { routes as api } from "@/api/api";
import { useApi } from "@/api/useApi";

const kPollMs = 5_000;

export const routeKey = (gateway: string, route: string) => ["routes", gateway, route] as const;

// A route, kept fresh: somebody else may save or deploy.
export const useRoute = (gateway: string, route: string) =>
  useApi(routeKey(gateway, route), (signal) => api.get(gateway, route, signal), { pollMs: kPollMs });

export const useVersion = (gateway: string, route: string, number: string) =>
  useApi([...routeKey(gateway, route), "version", number], (signal) => api.version(gateway, route, number, signal));
