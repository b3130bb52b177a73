// Who changed what: every changing call, refused and failed ones too, newest first.
import { ScrollText, X } from "lucide-react";
import { Link } from "wouter";
import { admin as api } from "@/api/api";
import type { AuditEntry } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useFilters } from "@/app/useFilters";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { formatDayTime, formatTime, fromMicros } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Empty, Loading, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { TokenPager } from "@/ui/TokenPager";
import { kMethods, methodLabel, resourcePath } from "./methods";

const kPageSize = 50;
const kPollMs = 10_000;

export default function AuditPage({ gateway }: PageProps) {
  const { values, any, set, clear } = useFilters(["who", "method"] as const);
  const [after, setAfter] = useQueryState("after");
  const data = useApi(
    ["audit", values, after],
    (signal) => api.audit({ pageSize: kPageSize, pageToken: after, who: values.who, method: values.method }, signal),
    { pollMs: after === "" ? kPollMs : undefined, keepPrevious: true },
  );
  const columns: Column<AuditEntry>[] = [
    {
      key: "time",
      head: "Time",
      cell: (entry) => (
        <time className="num" dateTime={fromMicros(entry.timeUs).toISOString()} title={formatTime(fromMicros(entry.timeUs))}>
          {formatDayTime(fromMicros(entry.timeUs))}
        </time>
      ),
    },
    {
      key: "who",
      head: "Who",
      cell: (entry) => (
        <span title={entry.tokenId}>
          {entry.who || "unknown"} <span className="muted small">{entry.role}</span>
        </span>
      ),
    },
    { key: "what", head: "What", cell: (entry) => <span title={entry.method}>{methodLabel(entry.method)}</span> },
    {
      key: "resource",
      head: "Of what",
      cell: (entry) => {
        const href = resourcePath(entry.gateway || gateway, entry.resource);
        const text = <span className="wrap-anywhere">{entry.resource}</span>;
        return (
          <>
            {href ? <Link href={href}>{text}</Link> : text}
            {entry.gateway && entry.gateway !== gateway && <span className="muted small"> in {entry.gateway}</span>}
          </>
        );
      },
    },
    {
      key: "summary",
      head: "Outcome",
      grow: true,
      cell: (entry) =>
        entry.error ? (
          <span className="wrap-anywhere">
            <Badge tone="bad">not done</Badge> <span style={{ color: "var(--text-2)" }}>{entry.error}</span>
          </span>
        ) : (
          <span className="wrap-anywhere">{entry.summary || "done"}</span>
        ),
    },
  ];
  return (
    <Page title="Audit" lead="Who changed what, in every gateway; what was refused or failed is kept too.">
      <Card flush label="Audit log">
        <Filters
          label="Filter the audit log"
          aside={
            any && (
              <Button small kind="quiet" icon={<X />} onClick={clear}>
                Clear
              </Button>
            )
          }
        >
          <TextFilter label="Who" value={values.who} onChange={(who) => set({ who })} placeholder="name or id" />
          <SelectFilter label="What" value={values.method} choices={kMethods} onChange={(method) => set({ method })} />
        </Filters>
        <WithData data={data} what="the audit log" loading={<Loading rows={8} />}>
          {({ entries, nextPageToken }) => (
            <>
              {entries.length === 0 ? (
                <Empty icon={<ScrollText />} title={any ? "Nothing fits" : "Nothing was changed yet"}>
                  {any ? "Remove a filter." : "Every change from now on appears here."}
                </Empty>
              ) : (
                <Table caption="Audit log" columns={columns} rows={entries} rowKey={(entry) => entry.id} />
              )}
              <TokenPager token={after} next={nextPageToken} onToken={setAfter} />
            </>
          )}
        </WithData>
      </Card>
    </Page>
  );
}
