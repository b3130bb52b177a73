// Every page's address. Names are percent-encoded; selections and filters are in the query.
import { withQuery, type Query } from "@/api/http";

const enc = encodeURIComponent;

const ofRoute = (gateway: string, route: string) => `/g/${enc(gateway)}/routes/${enc(route)}`;

export const paths = {
  routes: (gateway: string) => `/g/${enc(gateway)}/routes`,
  newRoute: (gateway: string) => `/g/${enc(gateway)}/new-route`,
  route: (gateway: string, route: string, element?: string) =>
    ofRoute(gateway, route) + (element ? `?element=${enc(element)}` : ""),
  versions: (gateway: string, route: string) => `${ofRoute(gateway, route)}/versions`,
  version: (gateway: string, route: string, number: string) => `${ofRoute(gateway, route)}?version=${enc(number)}`,
  diff: (gateway: string, route: string, a: string, b: string) => `${ofRoute(gateway, route)}/diff?a=${enc(a)}&b=${enc(b)}`,
  simulator: (gateway: string, route: string, version?: string) =>
    `${ofRoute(gateway, route)}/simulator` + (version ? `?version=${enc(version)}` : ""),
  usage: (gateway: string, query: Query = {}) => withQuery(`/g/${enc(gateway)}/usage`, query),
  requests: (gateway: string, query: Query = {}) => withQuery(`/g/${enc(gateway)}/requests`, query),
  request: (gateway: string, id: string) => `/g/${enc(gateway)}/requests/${enc(id)}`,
  budgets: (gateway: string) => `/g/${enc(gateway)}/budgets`,
  providers: (gateway: string) => `/g/${enc(gateway)}/providers`,
  keys: (gateway: string) => `/g/${enc(gateway)}/keys`,
  prices: (gateway: string) => `/g/${enc(gateway)}/prices`,
  counters: (gateway: string, query: Query = {}) => withQuery(`/g/${enc(gateway)}/counters`, query),
  fleet: (gateway: string) => `/g/${enc(gateway)}/fleet`,
  tokens: (gateway: string) => `/g/${enc(gateway)}/tokens`,
  audit: (gateway: string) => `/g/${enc(gateway)}/audit`,
  settings: (gateway: string) => `/g/${enc(gateway)}/settings`,
};
