// What the usage page shows, for spreadsheets: one line a group and moment, dollars to the nano.
import type { UsageRow } from "@/api/types";
import { figure, toCsv } from "@/ui/csv";
import { big, exactNanos } from "@/ui/format";
import { compare, groupOf, type Grouping } from "./aggregate";
import type { Timed } from "./useUsage";

const kHead = [
  "requests", "refused", "errors", "cache_hits", "cost_usd", "estimated_usd", "input_tokens", "cached_input_tokens",
  "output_tokens", "reasoning_tokens", "latency_p50_us", "latency_p95_us",
];

const figuresOf = (row: UsageRow) =>
  [
    big(row.requests), big(row.refused), big(row.errors), big(row.cacheHits), exactNanos(row.costNanos),
    exactNanos(row.estimatedNanos), big(row.usage?.input), big(row.usage?.cachedInput), big(row.usage?.output),
    big(row.usage?.reasoning), big(row.latency?.p50Us), big(row.latency?.p95Us),
  ].map(figure);

export function usageCsv({ rows, window }: Timed, group: Grouping | "", keyName: (id: string) => string): string {
  const at = (row: UsageRow) => row.group[window.bucket] ?? "";
  const sorted = [...rows].sort((a, b) => at(a).localeCompare(at(b)) || compare(big(b.costNanos), big(a.costNanos)));
  const nameOf = (row: UsageRow) => (group === "key" ? keyName(groupOf(row, "key")) : group === "" ? "" : groupOf(row, group));
  const head = [window.bucket, ...(group === "" ? [] : [group]), ...kHead];
  return toCsv(head, sorted.map((row) => [at(row), ...(group === "" ? [] : [nameOf(row)]), ...figuresOf(row)]));
}
