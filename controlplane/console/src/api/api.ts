// Every call of the control plane that the console makes, by the paths of controlplane/http/api_table.cc.
import { call, send, withQuery } from "./http";
import type * as t from "./types";

type Signal = AbortSignal | undefined;

const enc = encodeURIComponent;
const inGateway = (gateway: string, path: string) => `/v1/gateways/${enc(gateway)}/${path}`;
const ofRoute = (gateway: string, route: string, path = "") => inGateway(gateway, `routes/${enc(route)}${path}`);

const get = <T>(path: string, query?: object, signal?: Signal) => call<T>("GET", withQuery(path, query), undefined, signal);
const post = <T>(path: string, body: object = {}, signal?: Signal) => call<T>("POST", path, body, signal);

export const session = {
  read: (signal?: Signal) => get<t.Session>("/session", undefined, signal),
  start: (token: string) => post<t.Session>("/session", { token }),
  end: () => call<object>("DELETE", "/session"),
};

export const gateways = {
  list: (signal?: Signal) => get<t.ListGatewaysResponse>("/v1/gateways", { pageSize: 1000 }, signal),
  create: (name: string) => post<t.Gateway>("/v1/gateways", { name }),
  update: (name: string, settings: t.GatewaySettings) =>
    call<t.Gateway>("PUT", `/v1/gateways/${enc(name)}`, { settings }),
};

export const routes = {
  list: (gateway: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListRoutesResponse>(inGateway(gateway, "routes"), page, signal),
  get: (gateway: string, route: string, signal?: Signal) => get<t.Route>(ofRoute(gateway, route), undefined, signal),
  create: (gateway: string, request: t.CreateRouteRequest) =>
    post<t.CreateRouteResponse>(inGateway(gateway, "routes"), request),
  rename: (gateway: string, route: string, newName: string, etag: string) =>
    post<t.Route>(ofRoute(gateway, route, ":rename"), { newName, etag }),
  remove: (gateway: string, route: string, etag: string, force = false) =>
    call<object>("DELETE", withQuery(ofRoute(gateway, route), { etag, force: force || undefined })),
  save: (gateway: string, route: string, request: t.SaveVersionRequest) =>
    post<t.SaveVersionResponse>(ofRoute(gateway, route, "/versions"), request),
  version: (gateway: string, route: string, number: string, signal?: Signal) =>
    get<t.Version>(ofRoute(gateway, route, `/versions/${enc(number)}`), undefined, signal),
  versions: (gateway: string, route: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListVersionsResponse>(ofRoute(gateway, route, "/versions"), page, signal),
  diff: (gateway: string, route: string, a: string, b: string, signal?: Signal) =>
    get<t.DiffVersionsResponse>(ofRoute(gateway, route, ":diff"), { a, b }, signal),
  validate: (gateway: string, json: string, signal?: Signal) =>
    post<t.ValidateRouteResponse>(inGateway(gateway, "routes:validate"), { json }, signal),
  simulate: (gateway: string, route: string, request: t.SimulateRequest, signal?: Signal) =>
    post<t.SimulateResponse>(ofRoute(gateway, route, ":simulate"), request, signal),
  simulateJson: (gateway: string, request: t.SimulateRequest, signal?: Signal) =>
    post<t.SimulateResponse>(inGateway(gateway, "routes:simulate"), request, signal),
  deploy: (gateway: string, route: string, request: t.DeployRequest) =>
    post<t.DeployResponse>(ofRoute(gateway, route, ":deploy"), request),
  rollback: (gateway: string, route: string, request: t.RollbackRequest) =>
    post<t.DeployResponse>(ofRoute(gateway, route, ":rollback"), request),
  deployments: (gateway: string, route: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListDeploymentsResponse>(ofRoute(gateway, route, "/deployments"), page, signal),
  // A request through a proxy; the answer streams when `body.stream` is true.
  live: (gateway: string, request: { proxyId?: string; body: object; metadata: object }, signal?: Signal) =>
    send("POST", inGateway(gateway, "live"), request, signal),
};

export const providers = {
  list: (gateway: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListProvidersResponse>(inGateway(gateway, "providers"), page, signal),
  status: (gateway: string, signal?: Signal) =>
    get<t.ListProviderStatusResponse>(inGateway(gateway, "providers:status"), undefined, signal),
  apply: (gateway: string, name: string, request: t.ApplyProviderRequest) =>
    call<t.Provider>("PUT", inGateway(gateway, `providers/${enc(name)}`), request),
  remove: (gateway: string, name: string) => call<object>("DELETE", inGateway(gateway, `providers/${enc(name)}`)),
};

export const keys = {
  list: (gateway: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListKeysResponse>(inGateway(gateway, "keys"), page, signal),
  create: (gateway: string, request: t.CreateKeyRequest) =>
    post<t.CreateKeyResponse>(inGateway(gateway, "keys"), request),
  revoke: (gateway: string, id: string) => post<t.GatewayKey>(inGateway(gateway, `keys/${enc(id)}:revoke`)),
};

export const prices = {
  list: (gateway: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListPricesResponse>(inGateway(gateway, "prices"), page, signal),
  get: (gateway: string, provider: string, model: string, signal?: Signal) =>
    get<t.ModelPrice>(inGateway(gateway, `prices/${enc(provider)}/${enc(model)}`), undefined, signal),
  set: (gateway: string, price: Partial<t.ModelPrice> & { provider: string; model: string }) =>
    call<t.ModelPrice>("PUT", inGateway(gateway, `prices/${enc(price.provider)}/${enc(price.model)}`), { price }),
  catalogue: (signal?: Signal) => get<t.PriceCatalogueStatus>("/v1/prices:catalogue", undefined, signal),
  refresh: (request: { bundled?: boolean; force?: boolean } = {}) =>
    post<t.PriceCatalogueStatus>("/v1/prices:refresh", request),
};

export const usage = {
  query: (gateway: string, request: t.QueryUsageRequest, signal?: Signal) =>
    get<t.QueryUsageResponse>(inGateway(gateway, "usage"), request, signal),
  requests: (gateway: string, request: t.ListRequestsRequest, signal?: Signal) =>
    get<t.ListRequestsResponse>(inGateway(gateway, "requests"), request, signal),
  request: (gateway: string, id: string, signal?: Signal) =>
    get<t.SpendRecord>(inGateway(gateway, `requests/${enc(id)}`), undefined, signal),
};

export const counters = {
  limits: (gateway: string, page: t.PageRequest = {}, signal?: Signal) =>
    get<t.ListLimitsResponse>(inGateway(gateway, "limits"), page, signal),
  list: (gateway: string, selector: t.CounterSelector & { pageSize?: number }, signal?: Signal) =>
    get<t.ListLimitCountersResponse>(inGateway(gateway, "counters"), selector, signal),
  get: (gateway: string, selector: t.CounterSelector, signal?: Signal) =>
    get<t.LimitCounter>(inGateway(gateway, "counter"), selector, signal),
  reset: (gateway: string, request: t.CounterSelector & { why: string; adjustmentId?: string }) =>
    post<t.CounterAdjustment>(inGateway(gateway, "counter:reset"), request),
  adjust: (gateway: string, request: t.CounterSelector & { why: string; amount: string; adjustmentId?: string }) =>
    post<t.CounterAdjustment>(inGateway(gateway, "counter:adjust"), request),
  adjustments: (
    gateway: string,
    request: t.PageRequest & { pool?: string; identifier?: string[] } = {},
    signal?: Signal,
  ) => get<t.ListCounterAdjustmentsResponse>(inGateway(gateway, "adjustments"), request, signal),
};

export const fleet = {
  list: (signal?: Signal) => get<t.ListProxiesResponse>("/v1/proxies", { pageSize: 1000 }, signal),
};

export const admin = {
  server: (signal?: Signal) => get<t.ServerInfo>("/v1/server", undefined, signal),
  tokens: (page: t.PageRequest = {}, signal?: Signal) => get<t.ListTokensResponse>("/v1/tokens", page, signal),
  createToken: (role: t.TokenRole, displayName: string) =>
    post<t.CreateTokenResponse>("/v1/tokens", { role, displayName }),
  revokeToken: (id: string) => post<t.Token>(`/v1/tokens/${enc(id)}:revoke`),
  audit: (request: t.PageRequest & { who?: string; method?: string } = {}, signal?: Signal) =>
    get<t.ListAuditResponse>("/v1/audit", request, signal),
};
