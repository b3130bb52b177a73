// Recent requests, newest first, refused ones too. The first page keeps up by itself.
import { ArrowLeftRight, X } from "lucide-react";
import { Link, useLocation } from "wouter";
import { usage as api } from "@/api/api";
import type { Outcome, SpendRecord } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { kCustom, kRanges, localInput, microsOf, rangeOf } from "@/app/timeRange";
import { useFilters } from "@/app/useFilters";
import { useKeyChoices, useProviderChoices, useRouteChoices } from "@/app/useNames";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Field, TextInput } from "@/ui/Field";
import { FilterField, Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { exactNanos, formatClock, formatCount, formatDayTime, formatMicros, formatNanos, formatTime, fromMicros } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Empty, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { TokenPager } from "@/ui/TokenPager";
import { kOutcomes, OutcomeBadge } from "./outcome";
import css from "./Requests.module.css";
import { identifierWords } from "./steps";

const kPageSize = 50;
const kPollMs = 5_000;
const kFields = ["route", "version", "identifier", "outcome", "provider", "model", "key", "error", "range", "from", "to"] as const;
const kOutcomeChoices = Object.entries(kOutcomes).map(([value, { label }]) => ({ value, label }));
const kRangeChoices = [...kRanges.map(({ value, label }) => ({ value, label: `the last ${label}` })), { value: kCustom, label: "from … to …" }];

export default function RequestsPage({ gateway }: PageProps) {
  const { values, any, set, clear } = useFilters(kFields);
  const [after, setAfter] = useQueryState("after");
  const [, go] = useLocation();
  const data = useApi(
    ["requests", gateway, values, after],
    (signal) => {
      const range = rangeOf(values.range, values.from, values.to, Date.now());
      return api.requests(
        gateway,
        {
          pageSize: kPageSize,
          pageToken: after,
          route: values.route,
          version: values.version,
          identifier: values.identifier,
          outcome: (values.outcome || undefined) as Outcome | undefined,
          provider: values.provider,
          model: values.model,
          keyId: values.key,
          errorCode: values.error,
          startTimeUs: range ? microsOf(range.startMs) : undefined,
          endTimeUs: range && !range.live ? microsOf(range.endMs) : undefined,
        },
        signal,
      );
    },
    { pollMs: after === "" ? kPollMs : undefined, keepPrevious: true },
  );
  const keyChoices = useKeyChoices(gateway);

  const columns: Column<SpendRecord>[] = [
    {
      key: "time",
      head: "Time",
      cell: (record) => (
        <Link href={paths.request(gateway, record.requestId)} className={css.time} title={formatTime(fromMicros(record.startTimeUs))} onClick={(event) => event.stopPropagation()}>
          {timeText(fromMicros(record.startTimeUs))}
        </Link>
      ),
    },
    { key: "outcome", head: "Outcome", cell: (record) => <OutcomeCell record={record} /> },
    {
      key: "route",
      head: "Route",
      grow: true,
      cell: (record) =>
        record.route ? (
          <span className={css.route}>
            {record.route} <span className="muted">v{record.version}</span>
          </span>
        ) : (
          <span className="muted">plain model</span>
        ),
    },
    { key: "identifier", head: "Identifier", cell: (record) => <span className={css.clip} title={record.identifier}>{identifierWords(record.identifier) || <span className="muted">none</span>}</span> },
    { key: "model", head: "Model", cell: (record) => <span className={css.clip}>{record.model || <span className="muted">none</span>}</span> },
    { key: "tokens", head: "Tokens", align: "right", narrowHide: true, cell: (record) => formatCount(record.tokens) },
    { key: "cost", head: "Cost", align: "right", cell: (record) => <span title={`$${exactNanos(record.costNanos)}`}>{record.estimated ? "≈ " : ""}{formatNanos(record.costNanos)}</span> },
    { key: "duration", head: "Duration", align: "right", narrowHide: true, cell: (record) => formatMicros(record.durationUs) },
  ];
  return (
    <Page title="Requests" lead="Every request that wants to be logged, with what the gateway decided and why.">
      <Card flush label="Requests">
        <Filters
          label="Filter the requests"
          aside={
            any && (
              <Button small kind="quiet" icon={<X />} onClick={clear}>
                Clear
              </Button>
            )
          }
        >
          <SelectFilter label="Route" value={values.route} choices={useRouteChoices(gateway)} onChange={(route) => set({ route, version: "" })} />
          <SelectFilter label="Outcome" value={values.outcome} choices={kOutcomeChoices} onChange={(outcome) => set({ outcome })} />
          <TextFilter label="Identifier" value={values.identifier} onChange={(identifier) => set({ identifier })} />
          <TextFilter label="Model" value={values.model} onChange={(model) => set({ model })} />
          <SelectFilter label="Provider" value={values.provider} choices={useProviderChoices(gateway)} onChange={(provider) => set({ provider })} />
          <SelectFilter label="Key" value={values.key} choices={keyChoices} onChange={(key) => set({ key })} />
          <TextFilter label="Error code" value={values.error} onChange={(error) => set({ error })} />
          <SelectFilter
            label="Time"
            value={values.range}
            choices={kRangeChoices}
            onChange={(range) => set(range === kCustom ? { range, from: localInput(Date.now() - 3_600_000) } : { range, from: "", to: "" })}
          />
          {values.range === kCustom && (
            <>
              <FilterField>
                <Field label="From">
                  <TextInput type="datetime-local" value={values.from} onChange={(event) => set({ from: event.target.value })} />
                </Field>
              </FilterField>
              <FilterField>
                <Field label="To (empty: now)">
                  <TextInput type="datetime-local" value={values.to} onChange={(event) => set({ to: event.target.value })} />
                </Field>
              </FilterField>
            </>
          )}
        </Filters>
        <WithData data={data} what="the requests">
          {({ records, nextPageToken }) => (
            <>
              {records.length === 0 ? (
                <Empty icon={<ArrowLeftRight />} title={any ? "No request fits" : "No request yet"}>
                  {any ? "Remove a filter, or choose a longer time." : "They appear here as soon as an application calls the gateway."}
                </Empty>
              ) : (
                <Table caption="Requests" columns={columns} rows={records} rowKey={(record) => record.requestId} onRowClick={(record) => go(paths.request(gateway, record.requestId))} />
              )}
              <TokenPager token={after} next={nextPageToken} onToken={setAfter} />
            </>
          )}
        </WithData>
      </Card>
    </Page>
  );
}

// The day is worth its room only when it is another one.
const timeText = (date: Date) => (date.toDateString() === new Date().toDateString() ? formatClock(date) : formatDayTime(date));

function OutcomeCell({ record }: { record: SpendRecord }) {
  return (
    <span className={css.outcome}>
      <OutcomeBadge record={record} />
      {record.cache === "HIT" && <Badge tone="accent">cache</Badge>}
      {record.errorCode && <code className={css.code}>{record.errorCode}</code>}
    </span>
  );
}
