// One limit's counters, the fullest first; resetting and adjusting them; who did so and why.
import { RotateCcw, Timer, Wrench } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { counters as api } from "@/api/api";
import type { CounterAdjustment, DeployedLimit, LimitCounter } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useFilters } from "@/app/useFilters";
import { useQueryState } from "@/app/useQueryState";
import { fullness, identifierText, limitText, unitOf, useLimits } from "@/pages/budgets/limits";
import { Badge } from "@/ui/Badge";
import { Button, ButtonLink } from "@/ui/Button";
import { FilterField, Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { big, formatAmount, formatCount, formatDayTime, formatNanos, fromMicros, plural } from "@/ui/format";
import { Meter } from "@/ui/Meter";
import { Card, Page } from "@/ui/Page";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { TokenPager } from "@/ui/TokenPager";
import { ChangeDialog } from "./ChangeDialog";

const kPollMs = 3_000;
const kTop = 50;

export default function CountersPage({ gateway }: PageProps) {
  const limits = useLimits(gateway);
  const { values, set } = useFilters(["route", "element", "identifier"] as const);
  return (
    <Page title="Counters" lead="How much of a limit everyone has used, and the way to give some back.">
      <RoleNote needed="admin" what="Resetting or adjusting a counter" />
      <WithData data={limits} what="the limits" loading={<Card label="Counters"><Loading rows={8} /></Card>}>
        {(all) => {
          if (all.length === 0) {
            return (
              <Card label="Counters">
                <Empty icon={<Timer />} title="No limit yet" action={<ButtonLink href={paths.routes(gateway)}>All routes</ButtonLink>}>
                  Counters come with the limits of deployed routes.
                </Empty>
              </Card>
            );
          }
          const chosen = all.find((limit) => limit.route === values.route && limit.elementId === values.element) ?? all[0]!;
          return (
            <>
              <Card flush label="Counters of a limit">
                <Filters label="Choose a limit">
                  <FilterField wide>
                    <SelectFilter
                      label="Limit"
                      any={`${all[0]!.route} / ${all[0]!.elementId}`}
                      value={chosen === all[0] ? "" : keyOf(chosen)}
                      choices={all.slice(1).map((limit) => ({ value: keyOf(limit), label: `${limit.route} / ${limit.elementId}` }))}
                      onChange={(key) => {
                        const next = all.find((limit) => keyOf(limit) === key) ?? all[0]!;
                        set({ route: next.route, element: next.elementId, identifier: "" });
                      }}
                    />
                  </FilterField>
                  <TextFilter label="Identifier" value={values.identifier} onChange={(identifier) => set({ identifier })} placeholder="all" />
                </Filters>
                <TopCounters key={keyOf(chosen)} gateway={gateway} limit={chosen} identifier={values.identifier} />
              </Card>
              <Adjustments gateway={gateway} pool={chosen.pool} />
            </>
          );
        }}
      </WithData>
    </Page>
  );
}

const keyOf = (limit: DeployedLimit) => `${limit.route}\n${limit.elementId}`;

function TopCounters({ gateway, limit, identifier }: { gateway: string; limit: DeployedLimit; identifier: string }) {
  const data = useApi(
    ["counters", gateway, limit.routeId, limit.elementId, identifier],
    (signal) =>
      api.list(gateway, { route: limit.routeId, element: limit.elementId, identifier: partsOf(identifier, limit.key.length), pageSize: kTop }, signal),
    { pollMs: kPollMs, keepPrevious: true },
  );
  const [change, setChange] = useState<{ counter: LimitCounter; reset: boolean } | null>(null);
  const whyNot = useWhyNot("admin");
  // The unit stands above the table.
  const figure = (value: string | undefined) => (limit.unit === "NANO_DOLLARS" ? formatNanos(value) : formatCount(value));
  const columns: Column<LimitCounter>[] = [
    { key: "who", head: limit.key.join(", ") || "Counter", grow: true, cell: (counter) => <span style={{ display: "block", minWidth: 150, overflowWrap: "anywhere" }}>{identifierText(counter)}</span> },
    {
      key: "fill",
      head: "Used of the limit",
      cell: (counter) => (
        <span style={{ display: "block", width: 150 }}>
          <Meter part={fullness(counter, limit.limit)} label={`${identifierText(counter)} used`} shadow={limit.shadow} />
        </span>
      ),
    },
    { key: "used", head: "Used", align: "right", cell: (counter) => figure(counter.counter?.used) },
    { key: "held", head: "Held", align: "right", narrowHide: true, cell: (counter) => figure(counter.counter?.held) },
    { key: "suspense", head: "In suspense", align: "right", narrowHide: true, cell: (counter) => figure(counter.counter?.suspense) },
    {
      key: "reset",
      head: "Starts anew",
      narrowHide: true,
      cell: (counter) =>
        counter.counter && counter.counter.resetUs !== "0" ? formatDayTime(fromMicros(counter.counter.resetUs)) : <span className="muted">slides</span>,
    },
    {
      key: "actions",
      head: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (counter) => (
        <span style={{ display: "inline-flex", gap: 6 }}>
          <Button small icon={<Wrench />} disabled={whyNot !== undefined} title={whyNot} aria-label={`Adjust ${identifierText(counter)}`} onClick={() => setChange({ counter, reset: false })}>
            Adjust
          </Button>
          <Button small icon={<RotateCcw />} disabled={whyNot !== undefined} title={whyNot} aria-label={`Reset ${identifierText(counter)}`} onClick={() => setChange({ counter, reset: true })}>
            Reset
          </Button>
        </span>
      ),
    },
  ];
  return (
    <>
      <p className="small" style={{ padding: "10px var(--gutter)", borderBottom: "1px solid var(--line)", color: "var(--text-2)" }}>
        <Link href={paths.route(gateway, limit.route, limit.elementId)}>{limit.elementId}</Link>: {limitText(limit)},{" "}
        {limit.key.length === 0 ? "all together" : `for each ${limit.key.join(" and ")}`}; pool <code className="wrap-anywhere">{limit.pool}</code>
        {limit.shadow && " · watches only"}
      </p>
      <WithData data={data} what="the counters" loading={<Loading rows={6} />}>
        {({ counters, countersInPool }) => (
          <>
            {counters.length === 0 ? (
              <Empty icon={<Timer />} title={identifier === "" ? "Nothing counted yet" : `Nothing counted for “${identifier}”`}>
                A counter begins with the first request that passes the limit in its window.
              </Empty>
            ) : (
              <Table caption="Counters" columns={columns} rows={counters} rowKey={(counter) => `${counter.identifier} ${unitOf(counter)} ${counter.counter?.key?.windowSeconds ?? ""}`} />
            )}
            {big(countersInPool) > BigInt(counters.length) && (
              <p className="muted small" style={{ padding: "10px var(--gutter)", borderTop: "1px solid var(--line)" }}>
                The fullest {counters.length} are shown; the pool has {plural(big(countersInPool), "counter")}, of every unit and window. An identifier finds any of them.
              </p>
            )}
          </>
        )}
      </WithData>
      {change && <ChangeDialog gateway={gateway} limit={limit} counter={change.counter} reset={change.reset} onClose={() => setChange(null)} />}
    </>
  );
}

// Of a combination the parts are typed with commas between them.
function partsOf(text: string, fields: number): string[] | undefined {
  if (text.trim() === "") return undefined;
  return fields > 1 ? text.split(",").map((part) => part.trim()) : [text];
}

function Adjustments({ gateway, pool }: { gateway: string; pool: string }) {
  const [every, setEvery] = useQueryState("log");
  const [after, setAfter] = useQueryState("after");
  const data = useApi(
    ["adjustments", gateway, every === "all" ? "" : pool, after],
    (signal) => api.adjustments(gateway, { pool: every === "all" ? "" : pool, pageSize: 25, pageToken: after }, signal),
    { pollMs: 10_000, keepPrevious: true },
  );
  const columns: Column<CounterAdjustment>[] = [
    { key: "time", head: "When", cell: (entry) => <Ago us={entry.timeUs} /> },
    { key: "what", head: "What", cell: (entry) => (entry.reset ? <Badge>reset</Badge> : <Badge tone="accent">{`${big(entry.amount) > 0n ? "+" : ""}${amount(entry, entry.amount)}`}</Badge>) },
    { key: "whose", head: "Counter", cell: (entry) => <span className="wrap-anywhere">{entry.before ? identifierText(entry.before) : ""}</span> },
    { key: "from", head: "Used before", align: "right", narrowHide: true, cell: (entry) => amount(entry, entry.before?.counter?.used) },
    { key: "to", head: "after", align: "right", narrowHide: true, cell: (entry) => amount(entry, entry.after?.counter?.used) },
    { key: "why", head: "Why", grow: true, cell: (entry) => <span className="wrap-anywhere">{entry.why}</span> },
    { key: "who", head: "Who", cell: (entry) => <span title={entry.who}>{entry.who.replace(/ \(.*\)$/, "")}</span> },
  ];
  return (
    <Card
      flush
      title="Resets and adjustments"
      actions={
        <Button small kind="quiet" aria-pressed={every === "all"} onClick={() => { setAfter(""); setEvery(every === "all" ? "" : "all"); }}>
          Of every limit
        </Button>
      }
    >
      <WithData data={data} what="the log" loading={<Loading rows={3} />}>
        {({ adjustments, nextPageToken }) => (
          <>
            {adjustments.length === 0 ? (
              <p className="muted" style={{ padding: "var(--gutter)" }}>{every === "all" ? "No counter was ever reset or adjusted." : "None of this limit's counters was ever reset or adjusted."}</p>
            ) : (
              <Table caption="Resets and adjustments" columns={columns} rows={adjustments} rowKey={(entry) => entry.adjustmentId} />
            )}
            <TokenPager token={after} next={nextPageToken} onToken={setAfter} />
          </>
        )}
      </WithData>
    </Card>
  );
}

const amount = (entry: CounterAdjustment, value: string | undefined) => formatAmount(value, entry.before ? unitOf(entry.before) : "UNIT_UNSPECIFIED");
