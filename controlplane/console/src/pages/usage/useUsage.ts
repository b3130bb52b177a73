// The four reads of the usage page, by what the address says.
import { usage as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { QueryUsageRequest, UsageDimension, UsageRow } from "@/api/types";
import { useApi, type ApiData } from "@/api/useApi";
import { microsOf, rangeOf } from "@/app/timeRange";
import { bucketFor, kDimensions, type Bucket, type Grouping, type Window } from "./aggregate";

const kPollMs = 10_000;
const kRowsMax = 20;  // pages of 1000 rows

export interface UsageQuery {
  range: string;
  from: string;
  to: string;
  group: Grouping | "";
  route: string;
  version: string;
  model: string;
  provider: string;
  identifier: string;
  key: string;
}

export interface Timed {
  rows: UsageRow[];
  window: Window;
}

export interface UsageData {
  totals: ApiData<UsageRow | null>;
  series: ApiData<Timed>;
  grouped: ApiData<Timed>;
  breakdown: ApiData<UsageRow[]>;
  spenders: ApiData<UsageRow[]>;
  valid: boolean;
  bucket: Bucket;
}

// Every read takes the window as it is at that moment: a range that ends now moves along.
function windowNow(query: UsageQuery): Window | null {
  const range = rangeOf(query.range, query.from, query.to, Date.now());
  return range && { startMs: range.startMs, endMs: range.endMs, bucket: bucketFor(range.endMs - range.startMs) };
}

function requestOf(query: UsageQuery, window: Window, by: UsageDimension[]): QueryUsageRequest {
  const { route, version, model, provider, identifier, key } = query;
  return { by, route, version, model, provider, identifier, key, startTimeUs: microsOf(window.startMs), endTimeUs: query.to === "" ? undefined : microsOf(window.endMs) };
}

export function useUsage(gateway: string, query: UsageQuery): UsageData {
  const window = windowNow(query);
  const valid = window !== null;
  const bucket = window?.bucket ?? "hour";
  const options = { pollMs: query.range === "custom" && query.to !== "" ? undefined : kPollMs, enabled: valid, keepPrevious: true };
  const read = (by: UsageDimension[], pages: number) => async (signal: AbortSignal): Promise<Timed> => {
    const now = windowNow(query)!;
    const rows = await allPages(
      (pageToken) => api.query(gateway, { ...requestOf(query, now, by), pageSize: 1000, pageToken }, signal),
      (answer) => answer.rows,
      pages,
    );
    return { rows, window: now };
  };
  const dimension = kDimensions[query.group === "" ? "route" : query.group];
  const rowsOf = (by: UsageDimension[]) => async (signal: AbortSignal) => (await read(by, 1)(signal)).rows;
  return {
    totals: useApi(["usage", gateway, query, "totals"], async (signal) => (await rowsOf([])(signal))[0] ?? null, options),
    series: useApi(["usage", gateway, query, "series"], read([bucket], kRowsMax), options),
    grouped: useApi(["usage", gateway, query, "grouped"], read([bucket, dimension], kRowsMax), { ...options, enabled: valid && query.group !== "" }),
    breakdown: useApi(["usage", gateway, query, "breakdown"], rowsOf([dimension]), options),
    spenders: useApi(["usage", gateway, query, "spenders"], rowsOf(["identifier"]), options),
    valid,
    bucket,
  };
}
