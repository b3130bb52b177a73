// The API's messages as they travel: proto/signalbox/v1/*.proto in proto3 JSON. Every scalar is present unless its field
// is `optional`; 64-bit integers are text; a message that is not set is absent. One file, in the order of the protos.

export type Int64 = string;
export type Timestamp = string;

// ---- session (not in the protos) ----

export type Role = "viewer" | "editor" | "deployer" | "admin";

export interface Session {
  name: string;
  role: Role;
  csrf: string;
  gateways: string[];
}

// ---- route.proto ----

export type Severity = "SEVERITY_UNSPECIFIED" | "SEVERITY_ERROR" | "SEVERITY_WARNING";

export interface Fault {
  severity: Severity;
  elementId: string;
  path: string;
  message: string;
  code: string;
}

export interface Route {
  id: string;
  gateway: string;
  name: string;
  etag: string;
  latestVersion: Int64;
  deployedVersion: Int64;
  createTime?: Timestamp;
  updateTime?: Timestamp;
}

export interface Version {
  routeId: string;
  number: Int64;
  json: string;
  sha256: string;
  compiles: boolean;
  faults: Fault[];
  author: string;
  comment: string;
  createTime?: Timestamp;
  positionsJson: string;
}

export interface Deployment {
  id: Int64;
  routeId: string;
  version: Int64;
  previousVersion: Int64;
  rollback: boolean;
  author: string;
  comment: string;
  createTime?: Timestamp;
  snapshotSequence: Int64;
}

export interface ProxyResult {
  proxyId: string;
  state: "STATE_UNSPECIFIED" | "APPLIED" | "REJECTED" | "NOT_HEARD";
  faults: Fault[];
  latencyUs: Int64;
}

export interface SampleRequest {
  metadataJson?: string;
  bodyJson?: string;
  headers?: Record<string, string>;
}

export interface SimulatedStep {
  elementId: string;
  type: string;
  output: string;
  reason: string;
  holdNanos: Int64;
  pool: string;
  identifier: string;
  holdTokens: Int64;
  shadow: boolean;
}

export interface SimulateAssumptions {
  deniedElements?: string[];
  failedElements?: string[];
}

export interface CreateRouteRequest {
  json: string;
  comment?: string;
  deploy?: boolean;
  allowDraft?: boolean;
  positionsJson?: string;
}
export interface CreateRouteResponse {
  route: Route;
  version: Version;
  deployment?: Deployment;
}
export interface ListRoutesResponse {
  routes: Route[];
  nextPageToken: string;
}
export interface SaveVersionRequest {
  json: string;
  etag?: string;
  comment?: string;
  allowDraft?: boolean;
  positionsJson?: string;
}
export interface SaveVersionResponse {
  route: Route;
  version: Version;
  unchanged: boolean;
}
export interface ListVersionsResponse {
  versions: Version[];
  nextPageToken: string;
}
export interface ElementChange {
  kind: "KIND_UNSPECIFIED" | "ADDED" | "REMOVED" | "CHANGED";
  elementId: string;
  path: string;
  before: string;
  after: string;
}
export interface DiffVersionsResponse {
  a: Int64;
  b: Int64;
  changes: ElementChange[];
}
export interface ValidateRouteResponse {
  compiles: boolean;
  faults: Fault[];
}
export interface SimulateRequest {
  version?: Int64;
  json?: string;
  request?: SampleRequest;
  assumptions?: SimulateAssumptions;
}
export interface SimulateResponse {
  steps: SimulatedStep[];
  path: string;
  provider: string;
  model: string;
  status: number;
  errorCode: string;
  message: string;
}
export interface DeployRequest {
  version?: Int64;
  comment?: string;
  waitMs?: number;
  force?: boolean;
}
export interface RollbackRequest {
  to?: Int64;
  comment?: string;
  waitMs?: number;
  force?: boolean;
}
export interface DeployResponse {
  deployment: Deployment;
  proxies: ProxyResult[];
  snapshotSha256: string;
}
export interface ListDeploymentsResponse {
  deployments: Deployment[];
  nextPageToken: string;
}

// ---- gateway.proto ----

export interface GatewaySettings {
  defaultRoute: string;
  refusePlainModels: boolean;
  collectLogPayload: boolean;
  skipLog: boolean;
}
export interface Gateway {
  name: string;
  createTime?: Timestamp;
  settings?: GatewaySettings;
}
export interface ListGatewaysResponse {
  gateways: Gateway[];
  nextPageToken: string;
}

export interface ProviderEndpoint {
  name: string;
  baseUrl: string;
  weight: number;
  hasSecret: boolean;
}
export interface HealthCheck {
  path: string;
  intervalS: number;
}
export interface Provider {
  gateway: string;
  name: string;
  kind: string;
  baseUrl: string;
  hasSecret: boolean;
  headers: Record<string, string>;
  updateTime?: Timestamp;
  options: Record<string, string>;
  endpoints: ProviderEndpoint[];
  healthCheck?: HealthCheck;
}
export interface ApplyProviderRequest {
  provider: Partial<Provider>;
  secret?: string;
  endpointSecrets?: Record<string, string>;
}
export interface ListProvidersResponse {
  providers: Provider[];
  nextPageToken: string;
}
export interface ProviderStatus {
  gateway: string;
  provider: string;
  endpoint: string;
  model: string;
  proxyId: string;
  breaker: "BREAKER_UNSPECIFIED" | "CLOSED" | "OPEN" | "HALF_OPEN";
  attempts: Int64;
  failures: Int64;
  consecutiveFailures: Int64;
  lastError: string;
  lastFailureUs: Int64;
  retryUs: Int64;
  ejected: boolean;
}
export interface ListProviderStatusResponse {
  statuses: ProviderStatus[];
}

export interface GatewayKey {
  gateway: string;
  id: string;
  displayName: string;
  pinnedMetadataJson: string;
  allowedRoutes: string[];
  expireTime?: Timestamp;
  createTime?: Timestamp;
  revokeTime?: Timestamp;
  cacheGroup: string;
}
export interface CreateKeyRequest {
  displayName?: string;
  pinnedMetadataJson?: string;
  allowedRoutes?: string[];
  expireTime?: Timestamp;
  cacheGroup?: string;
}
export interface CreateKeyResponse {
  key: GatewayKey;
  secret: string;
}
export interface ListKeysResponse {
  keys: GatewayKey[];
  nextPageToken: string;
}

export interface ModelMatch {
  equals?: string;
  startsWith?: string;
  endsWith?: string;
  contains?: string;
  regex?: string;
  any?: { matches: ModelMatch[] };
  all?: { matches: ModelMatch[] };
}
export interface PriceTier {
  aboveInputTokens: Int64;
  rates?: ModelPrice;
}
export interface TimedPrice {
  startUs: Int64;
  timeOfDay?: { startUs: Int64; endUs: Int64 };
  rates?: ModelPrice;
}
export interface ModelPrice {
  provider: string;
  model: string;
  inputNanosPerMtok: Int64;
  cachedInputNanosPerMtok?: Int64;
  cacheWriteNanosPerMtok?: Int64;
  outputNanosPerMtok: Int64;
  maxOutputTokens: Int64;
  capField: string;
  imageTokensMax?: Int64;
  audioTokensMax?: Int64;
  fileTokensMax?: Int64;
  source: string;
  audioInputNanosPerMtok?: Int64;
  audioOutputNanosPerMtok?: Int64;
  cacheWrite1hNanosPerMtok?: Int64;
  reasoningNanosPerMtok?: Int64;
  cachedAudioInputNanosPerMtok?: Int64;
  imageInputNanosPerMtok?: Int64;
  cachedImageInputNanosPerMtok?: Int64;
  imageOutputNanosPerMtok?: Int64;
  videoInputNanosPerMtok?: Int64;
  videoOutputNanosPerMtok?: Int64;
  citationNanosPerMtok?: Int64;
  requestNanos: Int64;
  webSearchNanos: Int64;
  storageSearchNanos: Int64;
  tiers: PriceTier[];
  times: TimedPrice[];
  match?: ModelMatch;
  unmetered: string[];
}
export interface ListPricesResponse {
  prices: ModelPrice[];
  nextPageToken: string;
}
export interface PriceCatalogueStatus {
  source: string;
  bundled: boolean;
  sha256: string;
  models: Int64;
  updateUs: Int64;
  refreshUrl: string;
  refreshIntervalS: Int64;
  lastRefreshUs: Int64;
  lastError: string;
  nextRefreshUs: Int64;
}

// ---- spend.proto ----

export type Outcome =
  | "OUTCOME_UNSPECIFIED"
  | "SUCCESS"
  | "REFUSED"
  | "ERROR"
  | "CANCELLED"
  | "TIMEOUT"
  | "SHUTDOWN"
  | "SUSPENDED";

export interface TokenUsage {
  input: Int64;
  cachedInput: Int64;
  cacheWrite: Int64;
  output: Int64;
  reasoning: Int64;
  audioInput: Int64;
  audioOutput: Int64;
  cacheWrite1h: Int64;
  cachedAudioInput: Int64;
  imageInput: Int64;
  cachedImageInput: Int64;
  imageOutput: Int64;
  videoInput: Int64;
  videoOutput: Int64;
  citation: Int64;
  webSearches: Int64;
  storageSearches: Int64;
}
export interface Attempt {
  elementId: string;
  provider: string;
  model: string;
  status: number;
  error: string;
  startUs: Int64;
  firstByteUs: Int64;
  durationUs: Int64;
  usage?: TokenUsage;
  costNanos: Int64;
  estimated: boolean;
  boundNanos: Int64;
  boundTokens: Int64;
  endpoint: string;
}
export type CacheStatus = "CACHE_STATUS_UNSPECIFIED" | "MISS" | "HIT";
export interface LimitPassed {
  elementId: string;
  pool: string;
  identifier: string;
  denied: boolean;
  shadowDenied: boolean;
}
export interface SpendRecord {
  requestId: string;
  gateway: string;
  routeId: string;
  route: string;
  version: Int64;
  keyId: string;
  path: string;
  identifier: string;
  limits: LimitPassed[];
  attempts: Attempt[];
  provider: string;
  model: string;
  usage?: TokenUsage;
  costNanos: Int64;
  estimated: boolean;
  outcome: Outcome;
  status: number;
  errorCode: string;
  stream: boolean;
  startTimeUs: Int64;
  durationUs: Int64;
  firstByteUs: Int64;
  proxyId: string;
  bootId: string;
  metadataJson: string;
  snapshotSequence: Int64;
  tokens: Int64;
  cache: CacheStatus;
  eventId: string;
  endpoint: string;
  skipLog: boolean;
  requestBody: string;
  responseBody: string;
}

export type UsageDimension =
  | "route"
  | "version"
  | "identifier"
  | "model"
  | "provider"
  | "key"
  | "minute"
  | "hour"
  | "day"
  | "month"
  | "outcome"
  | "status"
  | "endpoint"
  | "cache";
export interface QueryUsageRequest {
  by?: UsageDimension[];
  startTimeUs?: Int64;
  endTimeUs?: Int64;
  route?: string;
  identifier?: string;
  model?: string;
  provider?: string;
  version?: Int64;
  key?: string;
  pageSize?: number;
  pageToken?: string;
}
export interface LatencyEstimate {
  meanUs: Int64;
  p50Us: Int64;
  p95Us: Int64;
  p99Us: Int64;
  firstByteP50Us: Int64;
  firstByteP95Us: Int64;
  requests?: Int64;
}
export interface UsageRow {
  group: Record<string, string>;
  requests: Int64;
  refused: Int64;
  errors: Int64;
  usage?: TokenUsage;
  costNanos: Int64;
  estimatedNanos: Int64;
  cacheHits: Int64;
  latency?: LatencyEstimate;
}
export interface QueryUsageResponse {
  rows: UsageRow[];
  nextPageToken: string;
}
export interface ListRequestsRequest {
  pageSize?: number;
  pageToken?: string;
  route?: string;
  identifier?: string;
  outcome?: Outcome;
  model?: string;
  provider?: string;
  version?: Int64;
  keyId?: string;
  startTimeUs?: Int64;
  endTimeUs?: Int64;
  errorCode?: string;
}
export interface ListRequestsResponse {
  records: SpendRecord[];
  nextPageToken: string;
}

// ---- quota.proto, counters.proto ----

export type Unit = "UNIT_UNSPECIFIED" | "REQUESTS" | "NANO_DOLLARS" | "TOKENS";

export interface Scalar {
  nullValue?: boolean;
  boolValue?: boolean;
  numberValue?: number;
  stringValue?: string;
}
export interface CounterKey {
  gateway: string;
  pool: string;
  unit: Unit;
  windowSeconds: Int64;
  technique: "TECHNIQUE_UNSPECIFIED" | "FIXED" | "SLIDING";
  identifier: Scalar[];
  calendar: "CALENDAR_UNSPECIFIED" | "DAY" | "MONTH";
  timezone: string;
}
export interface Counter {
  settled: Int64;
  held: Int64;
  suspense: Int64;
  resetUs: Int64;
  key?: CounterKey;
  used: Int64;
}
export interface LimitCounter {
  identifier: string;
  counter?: Counter;
  limit?: Int64;
  remaining?: Int64;
}
// Names one counter, or a limit's counters: by `route` and `element`, or by `pool`.
export interface CounterSelector {
  route?: string;
  element?: string;
  pool?: string;
  identifier?: string[];
  identifierType?: string[];
}
export interface ListLimitCountersResponse {
  counters: LimitCounter[];
  countersInPool: Int64;
  pool: string;
}
export interface CounterAdjustment {
  adjustmentId: string;
  timeUs: Int64;
  who: string;
  why: string;
  reset: boolean;
  amount: Int64;
  before?: LimitCounter;
  after?: LimitCounter;
}
export interface ListCounterAdjustmentsResponse {
  adjustments: CounterAdjustment[];
  nextPageToken: string;
}
export interface DeployedLimit {
  route: string;
  routeId: string;
  version: Int64;
  elementId: string;
  limitType: "count" | "cost" | "tokens";
  unit: Unit;
  limit: Int64;
  window: string;
  windowSeconds?: Int64;
  pool: string;
  key: string[];
  shadow: boolean;
  counters: Int64;
  fullest: LimitCounter[];
}
export interface ListLimitsResponse {
  limits: DeployedLimit[];
  nextPageToken: string;
}

// ---- snapshot.proto ----

export interface SnapshotId {
  lineage: string;
  sequence: Int64;
  sha256: string;
}
export interface ProxyStatus {
  proxyId: string;
  bootId: string;
  build: string;
  labels: Record<string, string>;
  connected: boolean;
  applied?: SnapshotId;
  inSync: boolean;
  rejected: Fault[];
  rejectedId?: SnapshotId;
  lastHeardUs: Int64;
  inFlightRequests: Int64;
  httpAddress?: string;
  httpTls?: boolean;
  appliedUs?: Int64;
}
export interface ListProxiesResponse {
  proxies: ProxyStatus[];
  published?: SnapshotId;
  nextPageToken: string;
}

// ---- admin.proto ----

export interface ServerInfo {
  build: string;
  lineage: string;
  snapshotSequence: Int64;
  snapshotSha256: string;
  startTime?: Timestamp;
}
export type TokenRole = Role | "proxy";
export interface Token {
  id: string;
  role: TokenRole;
  displayName: string;
  createTime?: Timestamp;
  revokeTime?: Timestamp;
}
export interface CreateTokenResponse {
  token: Token;
  secret: string;
}
export interface ListTokensResponse {
  tokens: Token[];
  nextPageToken: string;
}
export interface AuditEntry {
  id: Int64;
  timeUs: Int64;
  who: string;
  tokenId: string;
  role: TokenRole;
  method: string;
  gateway: string;
  resource: string;
  summary: string;
  error: string;
}
export interface ListAuditResponse {
  entries: AuditEntry[];
  nextPageToken: string;
}
export interface PageRequest {
  pageSize?: number;
  pageToken?: string;
}
