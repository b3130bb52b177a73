// What was used and spent: totals, one figure over time, its parts, and who spends most.
import { ChartNoAxesColumn, Download, X } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { Link } from "wouter";
import type { UsageRow } from "@/api/types";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { kCustom, kRanges, localInput } from "@/app/timeRange";
import { useFilters } from "@/app/useFilters";
import { useKeyChoices, useProviderChoices, useRouteChoices } from "@/app/useNames";
import { Button } from "@/ui/Button";
import { download } from "@/ui/download";
import { Field, TextInput } from "@/ui/Field";
import { FilterField, Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { big, exactNanos, formatCompact, formatCount, formatMicros, formatNanos, formatPercent } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Empty, Failed, Loading, Notice, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Segments } from "@/ui/Tabs";
import { messageOf } from "@/ui/Toast";
import { compare, groupOf, kRest, seriesOf, share, tokensOf, type Bucket, type Grouping, type Metric, type Series } from "./aggregate";
import css from "./Usage.module.css";
import { usageCsv } from "./usageCsv";
import { useUsage, type Timed, type UsageQuery } from "./useUsage";

const UsageChart = lazy(() => import("./UsageChart"));
const kColours = ["var(--chart-1)", "var(--chart-2)", "var(--chart-3)", "var(--chart-4)", "var(--chart-5)"];

const kGroupings: { value: Grouping; label: string }[] = [
  { value: "route", label: "Route" },
  { value: "version", label: "Version" },
  { value: "model", label: "Model" },
  { value: "provider", label: "Provider" },
  { value: "identifier", label: "Identifier" },
  { value: "key", label: "Key" },
];
const kMetrics: Record<Metric, string> = {
  spend: "Spend",
  requests: "Requests",
  tokens: "Tokens",
  errors: "Errors",
  cache: "Cache hits",
  latency: "Latency",
};
const kFields = ["range", "from", "to", "group", "metric", "route", "version", "model", "provider", "identifier", "key"] as const;

export default function UsagePage({ gateway }: PageProps) {
  const { values, set } = useFilters(kFields);
  const group = kGroupings.find(({ value }) => value === values.group)?.value ?? "";
  const metric = values.metric in kMetrics ? (values.metric as Metric) : "spend";
  const query: UsageQuery = { ...values, range: values.range || "24h", group };
  const data = useUsage(gateway, query);
  const keyChoices = useKeyChoices(gateway);
  const keyName = (id: string) => keyChoices.find((choice) => choice.value === id)?.label ?? id;
  const nameOf = (row: UsageRow, by: Grouping) => (by === "key" ? keyName(groupOf(row, by)) : groupOf(row, by));
  const shown = group === "" ? data.series : data.grouped;

  const exportCsv = () => {
    if (shown.data) download(`usage-${gateway}-${query.range}.csv`, usageCsv(shown.data, group, keyName), "text/csv;charset=utf-8");
  };
  return (
    <Page
      title="Usage"
      lead="What was asked, answered and spent. Times within a day are yours, days and months are UTC."
      actions={
        <>
          <Segments
            label="Range"
            value={query.range}
            choices={[...kRanges, { value: kCustom, label: "Custom" }]}
            onPick={(range) => set(range === kCustom ? { range, from: localInput(Date.now() - 86_400_000), to: "" } : { range: range === "24h" ? "" : range, from: "", to: "" })}
          />
          <Button icon={<Download />} disabled={!shown.data || shown.data.rows.length === 0} onClick={exportCsv}>
            CSV
          </Button>
        </>
      }
    >
      <Card flush label="Filters and totals">
        <UsageFilters gateway={gateway} query={query} set={set} keyChoices={keyChoices} />
        {!data.valid ? (
          <Empty title="This range has no time in it">Choose an end that is later than the start.</Empty>
        ) : (
          <>
            <Tiles totals={data.totals.data} loading={data.totals.isPending} metric={metric} onMetric={(next) => set({ metric: next === "spend" ? "" : next })} />
            {data.totals.isError && <Notice tone="warn">Not up to date: {messageOf(data.totals.error)}</Notice>}
            <Plot data={shown} group={group} metric={metric} nameOf={nameOf} />
          </>
        )}
      </Card>
      {data.valid && (
        <div className={css.columns}>
          <Breakdown rows={data.breakdown} group={group || "route"} nameOf={nameOf} onGroup={(next) => set({ group: next })} onPick={(changes) => set(changes)} />
          <TopSpenders gateway={gateway} rows={data.spenders} onPick={(identifier) => set({ identifier })} />
        </div>
      )}
    </Page>
  );
}

function UsageFilters({
  gateway,
  query,
  set,
  keyChoices,
}: {
  gateway: string;
  query: UsageQuery;
  set: (changes: Partial<UsageQuery>) => void;
  keyChoices: { value: string; label: string }[];
}) {
  const any = [query.route, query.version, query.model, query.provider, query.identifier, query.key].some((value) => value !== "");
  return (
    <Filters
      label="Filter the usage"
      aside={
        any && (
          <Button small kind="quiet" icon={<X />} onClick={() => set({ route: "", version: "", model: "", provider: "", identifier: "", key: "" })}>
            Clear
          </Button>
        )
      }
    >
      {query.range === kCustom && (
        <FilterField wide>
          <div className={css.range}>
            <Field label="From">
              <TextInput type="datetime-local" value={query.from} onChange={(event) => set({ from: event.target.value })} />
            </Field>
            <Field label="To (empty: now)">
              <TextInput type="datetime-local" value={query.to} onChange={(event) => set({ to: event.target.value })} />
            </Field>
          </div>
        </FilterField>
      )}
      <SelectFilter label="Group by" any="nothing" value={query.group} choices={kGroupings} onChange={(value) => set({ group: value as Grouping })} />
      <SelectFilter label="Route" value={query.route} choices={useRouteChoices(gateway)} onChange={(route) => set({ route, version: "" })} />
      {query.route !== "" && <TextFilter label="Version" value={query.version} onChange={(version) => set({ version: version.replace(/\D/g, "") })} />}
      <SelectFilter label="Provider" value={query.provider} choices={useProviderChoices(gateway)} onChange={(provider) => set({ provider })} />
      <TextFilter label="Model" value={query.model} onChange={(model) => set({ model })} />
      <TextFilter label="Identifier" value={query.identifier} onChange={(identifier) => set({ identifier })} />
      <SelectFilter label="Key" value={query.key} choices={keyChoices} onChange={(key) => set({ key })} />
    </Filters>
  );
}

function Tiles({
  totals,
  loading,
  metric,
  onMetric,
}: {
  totals: UsageRow | null | undefined;
  loading: boolean;
  metric: Metric;
  onMetric: (metric: Metric) => void;
}) {
  const row = totals ?? undefined;
  const requests = big(row?.requests);
  const rate = (part: string | undefined) => (requests === 0n ? "" : `${formatPercent(share(big(part), requests))} of requests`);
  const tiles: { metric: Metric; value: string; note: string; title?: string }[] = [
    {
      metric: "spend",
      value: formatNanos(row?.costNanos),
      note: row && row.estimatedNanos !== "0" ? `${formatNanos(row.estimatedNanos)} estimated` : "",
      title: row && `$${exactNanos(row.costNanos)}`,
    },
    { metric: "requests", value: formatCount(row?.requests), note: row ? `${formatCount(row.refused)} refused` : "" },
    {
      metric: "tokens",
      value: formatCompact(row ? tokensOf(row).toString() : 0),
      note: row?.usage ? `${formatCompact(row.usage.input)} in, ${formatCompact(row.usage.output)} out` : "",
    },
    { metric: "errors", value: formatCount(row?.errors), note: rate(row?.errors) },
    { metric: "cache", value: formatCount(row?.cacheHits), note: rate(row?.cacheHits) },
    {
      metric: "latency",
      value: row?.latency ? formatMicros(row.latency.p50Us) : "–",
      note: row?.latency ? `median; p95 ${formatMicros(row.latency.p95Us)}` : "median",
    },
  ];
  return (
    <div className={css.tiles} role="group" aria-label="What the chart shows">
      {tiles.map((tile) => (
        <button key={tile.metric} type="button" className={css.tile} aria-pressed={metric === tile.metric} title={tile.title} onClick={() => onMetric(tile.metric)}>
          <span className={css.tileName}>{kMetrics[tile.metric]}</span>
          <span className={css.tileValue}>{loading ? "…" : tile.value}</span>
          <span className={css.tileNote}>{loading ? "" : tile.note}</span>
        </button>
      ))}
    </div>
  );
}

const exactFormat: Record<Metric, (value: bigint) => string> = {
  spend: (value) => formatNanos(value.toString()),
  requests: (value) => formatCount(value.toString()),
  tokens: (value) => formatCount(value.toString()),
  errors: (value) => formatCount(value.toString()),
  cache: (value) => formatCount(value.toString()),
  latency: (value) => (value === 0n ? "–" : formatMicros(value.toString())),
};
const tickFormat = (metric: Metric) => (value: number) => {
  if (metric === "spend") return formatNanos(Math.round(value));
  return metric === "latency" ? formatMicros(Math.round(value)) : formatCompact(value);
};

const kClock: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
const kDay: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };
const kFormats: Record<Bucket, { short: Intl.DateTimeFormatOptions; full: Intl.DateTimeFormatOptions }> = {
  minute: { short: kClock, full: { ...kDay, ...kClock } },
  hour: { short: kClock, full: { weekday: "short", ...kDay, ...kClock } },
  day: { short: { ...kDay, timeZone: "UTC" }, full: { weekday: "short", ...kDay, year: "numeric", timeZone: "UTC" } },
  month: { short: { month: "short", timeZone: "UTC" }, full: { month: "long", year: "numeric", timeZone: "UTC" } },
};
const timeFormat = (bucket: Bucket, spanMs: number) => (ms: number, full: boolean) => {
  const options = full ? kFormats[bucket].full : bucket === "hour" && spanMs > 2 * 86_400_000 ? kDay : kFormats[bucket].short;
  return new Intl.DateTimeFormat(undefined, options).format(ms);
};

// Latencies without groups are two lines: the median and the 95th percentile.
function latencySeries({ rows, window }: Timed): Series {
  const p50 = seriesOf(rows.map((row) => ({ ...row, latency: row.latency && { ...row.latency, p95Us: row.latency.p50Us } })), window, "latency", () => "median");
  const p95 = seriesOf(rows, window, "latency", () => "p95");
  return { names: [...p50.names, ...p95.names], points: p50.points.map((point, index) => ({ ms: point.ms, values: { ...point.values, ...p95.points[index]?.values } })) };
}

function Plot({
  data,
  group,
  metric,
  nameOf,
}: {
  data: ReturnType<typeof useUsage>["series"];
  group: Grouping | "";
  metric: Metric;
  nameOf: (row: UsageRow, by: Grouping) => string;
}) {
  const timed = data.data;
  const series = useMemo(() => {
    if (!timed) return null;
    const told = metric === "latency" ? { ...timed, rows: timed.rows.filter((row) => row.latency !== undefined) } : timed;
    if (group === "" && metric === "latency") return latencySeries(told);
    return seriesOf(told.rows, told.window, metric, (row) => (group === "" ? kMetrics[metric] : nameOf(row, group)));
    // `nameOf` is the same as long as the keys' names are.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [timed, group, metric]);
  if (data.isError && !timed) return <Failed error={data.error} what="the chart" onRetry={() => void data.refetch()} />;
  const empty = <div className={css.chartEmpty}>{timed ? emptyText(metric, timed.rows.length > 0) : "Loading …"}</div>;
  const heading = `${kMetrics[metric]}${metric === "latency" && group !== "" ? " (p95)" : ""} over time${group === "" ? "" : `, by ${group}`}`;
  return (
    <div className={css.plot}>
      {timed && series && series.names.length > 0 ? (
        <Suspense fallback={<div className={css.chartEmpty}>Loading the chart …</div>}>
          <UsageChart
            series={series}
            lines={metric === "latency"}
            label={heading}
            format={exactFormat[metric]}
            formatTick={tickFormat(metric)}
            formatTime={timeFormat(timed.window.bucket, timed.window.endMs - timed.window.startMs)}
          />
        </Suspense>
      ) : (
        empty
      )}
      <ul className={css.legend} aria-label={heading}>
        {series?.names.map((name, index) => (
          <li key={name}>
            <span className={css.swatch} style={{ background: name === kRest ? "var(--chart-6)" : kColours[index] }} aria-hidden="true" />
            {name || "none"}
          </li>
        ))}
      </ul>
    </div>
  );
}

function emptyText(metric: Metric, requests: boolean): string {
  if (!requests) return "No request in this range.";
  const texts: Record<Metric, string> = {
    spend: "Nothing was spent in this range.",
    requests: "No request in this range.",
    tokens: "No token was used in this range.",
    errors: "No errors in this range.",
    cache: "No request was answered from the cache in this range.",
    latency: "No request that succeeded without the cache in this range.",
  };
  return texts[metric];
}

function Breakdown({
  rows,
  group,
  nameOf,
  onGroup,
  onPick,
}: {
  rows: ReturnType<typeof useUsage>["breakdown"];
  group: Grouping;
  nameOf: (row: UsageRow, by: Grouping) => string;
  onGroup: (group: Grouping) => void;
  onPick: (changes: Partial<UsageQuery>) => void;
}) {
  const kShown = 100;
  const pick = (row: UsageRow) =>
    onPick(group === "version" ? { route: row.group.route ?? "", version: row.group.version ?? "" } : { [group]: group === "route" ? (row.group.route ?? "") : (row.group[group] ?? "") });
  const columns: Column<UsageRow>[] = [
    {
      key: "name",
      head: kGroupings.find(({ value }) => value === group)?.label,
      grow: true,
      cell: (row) => {
        const name = nameOf(row, group);
        if (name === "") return <span className="muted">none</span>;
        return (
          <button type="button" className={css.groupName} title={`Only ${name}`} onClick={() => pick(row)}>
            {name}
          </button>
        );
      },
    },
    { key: "spend", head: "Spend", align: "right", cell: (row) => <span title={`$${exactNanos(row.costNanos)}`}>{formatNanos(row.costNanos)}</span> },
    { key: "requests", head: "Requests", align: "right", cell: (row) => formatCount(row.requests) },
    { key: "in", head: "Tokens in", align: "right", narrowHide: true, cell: (row) => formatCount(row.usage?.input) },
    { key: "out", head: "Tokens out", align: "right", narrowHide: true, cell: (row) => formatCount(row.usage?.output) },
    { key: "refused", head: "Refused", align: "right", narrowHide: true, cell: (row) => formatCount(row.refused) },
    { key: "errors", head: "Errors", align: "right", cell: (row) => formatCount(row.errors) },
    { key: "cache", head: "Cache hits", align: "right", narrowHide: true, cell: (row) => formatCount(row.cacheHits) },
    { key: "p50", head: "Median", align: "right", narrowHide: true, cell: (row) => (row.latency ? formatMicros(row.latency.p50Us) : "–") },
    { key: "p95", head: "p95", align: "right", narrowHide: true, cell: (row) => (row.latency ? formatMicros(row.latency.p95Us) : "–") },
  ];
  return (
    <Card
      flush
      title={`By ${group}`}
      actions={<Segments label="Break down by" value={group} choices={kGroupings} onPick={onGroup} />}
    >
      <WithData data={rows} what="the parts" loading={<Loading label="Loading the parts" rows={6} />}>
        {(all) =>
          all.length === 0 ? (
            <Empty icon={<ChartNoAxesColumn />} title="No request in this range">
              Choose a longer range, or fewer filters.
            </Empty>
          ) : (
            <>
              <Table caption={`Usage by ${group}`} columns={columns} rows={all.slice(0, kShown)} rowKey={(row) => `${row.group.route_id ?? ""} ${groupOf(row, group)}`} />
              {all.length > kShown && <p className="muted small" style={{ padding: "10px var(--gutter)" }}>The dearest {kShown} of {formatCount(all.length)} are shown.</p>}
            </>
          )
        }
      </WithData>
    </Card>
  );
}

function TopSpenders({
  gateway,
  rows,
  onPick,
}: {
  gateway: string;
  rows: ReturnType<typeof useUsage>["spenders"];
  onPick: (identifier: string) => void;
}) {
  const kShown = 10;
  return (
    <Card title="Top spenders" actions={<Link href={paths.budgets(gateway)} className="small">Budgets</Link>}>
      <WithData data={rows} what="the spenders">
        {(all) => {
          const spenders = all.filter((row) => big(row.costNanos) > 0n && row.group.identifier).sort((a, b) => compare(big(b.costNanos), big(a.costNanos))).slice(0, kShown);
          if (spenders.length === 0) return <p className="muted">Nobody with a limit spent anything in this range.</p>;
          const most = big(spenders[0]?.costNanos);
          return (
            <ol className={css.spenders}>
              {spenders.map((row) => (
                <li key={row.group.identifier} className={css.spender}>
                  <span className={css.spenderName}>
                    <button type="button" className={css.groupName} title={`Only ${row.group.identifier}`} onClick={() => onPick(row.group.identifier ?? "")}>
                      {row.group.identifier}
                    </button>
                  </span>
                  <span className={css.spenderValue} title={`$${exactNanos(row.costNanos)}`}>
                    {formatNanos(row.costNanos)}
                  </span>
                  <span className={css.bar} aria-hidden="true">
                    <span style={{ width: `${share(big(row.costNanos), most) * 100}%` }} />
                  </span>
                </li>
              ))}
            </ol>
          );
        }}
      </WithData>
    </Card>
  );
}
