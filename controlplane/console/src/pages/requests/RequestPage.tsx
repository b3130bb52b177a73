// One request opened: its path with what was decided at each element, its attempts, tokens, cost, limits and bodies.
import { Check, Circle, Minus, TriangleAlert, X } from "lucide-react";
import { useMemo } from "react";
import { Link } from "wouter";
import { keys, routes, usage as api } from "@/api/api";
import type { SpendRecord, TokenUsage } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { infoOf } from "@/graph/elements";
import { Badge } from "@/ui/Badge";
import { Facts } from "@/ui/Facts";
import { exactNanos, formatCount, formatMicros, formatNanos, formatTime, fromMicros, plural } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { CopyButton } from "@/ui/Secret";
import { Loading, Notice, WithData } from "@/ui/States";
import { Table } from "@/ui/Table";
import { OutcomeBadge } from "./outcome";
import css from "./Requests.module.css";
import { graphOf, identifierWords, stepsOf, type StepTone } from "./steps";
import { Waterfall } from "./Waterfall";

const kPollMs = 3_000;

export default function RequestPage({ gateway, params }: PageProps) {
  const id = params.id ?? "";
  // Only what may still change is asked for again.
  const data = useApi(["request", gateway, id], (signal) => api.request(gateway, id, signal));
  useApi(["request", gateway, id], (signal) => api.request(gateway, id, signal), {
    pollMs: data.data?.outcome === "SUSPENDED" ? kPollMs : undefined,
  });
  return (
    <Page
      title="Request"
      crumbs={[{ label: "Requests", href: paths.requests(gateway) }]}
      lead={<span className="mono wrap-anywhere">{id}</span>}
      actions={<CopyButton text={id} label="Copy the id" />}
    >
      <WithData data={data} what="the request" loading={<Card label="Request"><Loading rows={8} /></Card>}>
        {(record) => <Opened gateway={gateway} record={record} />}
      </WithData>
    </Page>
  );
}

function Opened({ gateway, record }: { gateway: string; record: SpendRecord }) {
  const hasVersion = record.routeId !== "" && record.version !== "0";
  const version = useApi(["version", gateway, record.routeId, record.version], (signal) => routes.version(gateway, record.routeId, record.version, signal), {
    enabled: hasVersion,
  });
  const graph = useMemo(() => graphOf(version.data?.json ?? ""), [version.data]);
  const steps = stepsOf(record, graph);
  return (
    <>
      <Card label="Summary">
        <Summary gateway={gateway} record={record} />
      </Card>
      {record.outcome === "SUSPENDED" && <Notice tone="warn">The proxy vanished before it told how this request ended. It is charged its hold until the real record comes.</Notice>}
      <div className={css.grid}>
        <div className={css.side}>
          <Card title="Path">
            {version.isLoading ? (
              <Loading rows={5} />
            ) : (
              <ol className={css.path}>
                {steps.map((step, index) => (
                  <li key={index} className={css.step} data-tone={step.tone}>
                    <StepMark tone={step.tone} />
                    <div>
                      <p>
                        {hasVersion && graph.has(step.id) ? (
                          <Link className={css.stepName} href={`${paths.version(gateway, record.route, record.version)}&element=${encodeURIComponent(step.id)}`}>
                            {step.id}
                          </Link>
                        ) : (
                          <span className={css.stepName}>{step.id}</span>
                        )}
                        {step.type !== "" && step.type !== step.id && <span className={css.stepType}>{infoOf(step.type).label}</span>}
                      </p>
                      {step.text && <p className={css.stepText}>{step.text}</p>}
                    </div>
                  </li>
                ))}
              </ol>
            )}
          </Card>
          {record.limits.length > 0 && (
            <Card title="Limits">
              <Limits gateway={gateway} record={record} />
            </Card>
          )}
        </div>
        <div className={css.side}>
          <Card title={record.attempts.length === 0 ? "Attempts" : plural(record.attempts.length, "attempt")}>
            {record.attempts.length === 0 ? (
              <p className="muted">{record.cache === "HIT" ? "None: the answer came from the cache." : "None: no model was called."}</p>
            ) : (
              <Waterfall record={record} />
            )}
          </Card>
          <Card flush title="Tokens and cost">
            <Tokens record={record} />
          </Card>
          <Card flush title="Metadata">
            <pre className={css.body}>{pretty(record.metadataJson) || "none"}</pre>
          </Card>
        </div>
      </div>
      <Bodies record={record} />
    </>
  );
}

const kMarks: Record<StepTone, typeof Check> = { plain: Circle, ok: Check, warn: TriangleAlert, bad: X };

function StepMark({ tone }: { tone: StepTone }) {
  const Icon = kMarks[tone];
  return (
    <span className={css.mark} aria-hidden="true">
      <Icon />
    </span>
  );
}

function Summary({ gateway, record }: { gateway: string; record: SpendRecord }) {
  const key = useApi(["keys", gateway, "first"], (signal) => keys.list(gateway, { pageSize: 1000 }, signal), { enabled: record.keyId !== "" });
  const keyName = key.data?.keys.find((candidate) => candidate.id === record.keyId)?.displayName;
  return (
    <Facts
      facts={[
        { name: "Outcome", value: <OutcomeBadge record={record} /> },
        { name: "Status", value: `${record.status || "none"}${record.errorCode ? ` ${record.errorCode}` : ""}` },
        {
          name: "Route",
          value: record.route ? <Link href={paths.version(gateway, record.route, record.version)}>{`${record.route} v${record.version}`}</Link> : "plain model",
        },
        { name: "Model", value: record.model ? `${record.provider}/${record.model}` : "none" },
        { name: "Cost", value: <span title={`$${exactNanos(record.costNanos)}`}>{`${record.estimated ? "≈ " : ""}${formatNanos(record.costNanos)}`}</span> },
        { name: "Tokens", value: formatCount(record.tokens) },
        { name: "Duration", value: formatMicros(record.durationUs) },
        { name: "First byte", value: record.firstByteUs === "0" ? "none" : `after ${formatMicros(record.firstByteUs)}` },
        { name: "Started", value: formatTime(fromMicros(record.startTimeUs)) },
        {
          name: "Identifier",
          value: record.identifier ? <Link href={paths.requests(gateway, { identifier: record.identifier })}>{identifierWords(record.identifier)}</Link> : "none",
        },
        { name: "Key", value: keyName || record.keyId || "none" },
        { name: "Proxy", value: record.proxyId },
        { name: "Endpoint", value: `${record.endpoint || "unknown"}${record.stream ? ", streamed" : ""}` },
        { name: "Cache", value: record.cache === "HIT" ? <Badge tone="accent">hit</Badge> : record.cache === "MISS" ? "miss" : "not asked" },
        { name: "Snapshot", value: record.snapshotSequence },
        record.eventId !== "" && { name: "Event id", value: <code>{record.eventId}</code> },
      ]}
    />
  );
}

function Limits({ gateway, record }: { gateway: string; record: SpendRecord }) {
  return (
    <ul className={css.limits}>
      {record.limits.map((limit) => (
        <li key={limit.elementId} className={css.limit}>
          <Link href={paths.counters(gateway, { route: record.route, element: limit.elementId })}>{limit.elementId}</Link>
          <span className="muted small wrap-anywhere">{identifierWords(limit.identifier)}</span>
          {limit.denied ? <Badge tone="warn">refused</Badge> : limit.shadowDenied ? <Badge tone="warn">would refuse</Badge> : <Badge tone="ok">passed</Badge>}
        </li>
      ))}
    </ul>
  );
}

const kKinds: { field: keyof TokenUsage; label: string }[] = [
  { field: "input", label: "Input" },
  { field: "cachedInput", label: "of it cached" },
  { field: "cacheWrite", label: "of it written to the provider's cache" },
  { field: "cacheWrite1h", label: "of it for an hour" },
  { field: "audioInput", label: "of it audio" },
  { field: "cachedAudioInput", label: "of it cached audio" },
  { field: "imageInput", label: "of it images" },
  { field: "cachedImageInput", label: "of it cached images" },
  { field: "videoInput", label: "of it video" },
  { field: "output", label: "Output" },
  { field: "reasoning", label: "of it reasoning" },
  { field: "audioOutput", label: "of it audio" },
  { field: "imageOutput", label: "of it images" },
  { field: "videoOutput", label: "of it video" },
  { field: "citation", label: "of it citations" },
  { field: "webSearches", label: "Web searches" },
  { field: "storageSearches", label: "Searches in stored files" },
];

function Tokens({ record }: { record: SpendRecord }) {
  const rows = kKinds
    .map(({ field, label }) => ({ field, label, count: record.usage?.[field] ?? "0" }))
    .filter(({ field, count }) => count !== "0" || field === "input" || field === "output");
  return (
    <>
      <Table
        caption="Tokens by kind"
        rows={[...rows, { field: "cost", label: "Cost", count: "" }]}
        rowKey={(row) => row.field}
        columns={[
          { key: "kind", head: "Kind", grow: true, cell: (row) => <span style={{ paddingLeft: row.label.startsWith("of it") ? 16 : 0 }}>{row.label}</span> },
          {
            key: "count",
            head: "Over all attempts",
            align: "right",
            cell: (row) => (row.field === "cost" ? <strong>{`${record.estimated ? "≈ " : ""}$${exactNanos(record.costNanos)}`}</strong> : formatCount(row.count)),
          },
        ]}
      />
      {record.estimated && (
        <div style={{ padding: "0 var(--gutter) 14px" }}>
          <Notice>Estimated: a provider sent no usage, so it is reckoned from bytes or charged its bound.</Notice>
        </div>
      )}
    </>
  );
}

function Bodies({ record }: { record: SpendRecord }) {
  const request = bodyOf(record.requestBody);
  const response = bodyOf(record.responseBody);
  if (request === "" && response === "") {
    return (
      <p className="muted small">
        <Minus size={12} aria-hidden="true" /> Bodies were not kept. A gateway's settings say whether they are.
      </p>
    );
  }
  return (
    <div className={css.grid}>
      <Card flush title="Request body" actions={<CopyButton small text={request} />}>
        <pre className={css.body} tabIndex={0} aria-label="Request body">{request}</pre>
      </Card>
      <Card flush title="Answer" actions={<CopyButton small text={response} />}>
        <pre className={css.body} tabIndex={0} aria-label="Answer">{response || "none"}</pre>
      </Card>
    </div>
  );
}

// Bodies are bytes: base64 in JSON.
function bodyOf(base64: string): string {
  if (base64 === "") return "";
  try {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return pretty(new TextDecoder().decode(bytes));
  } catch {
    return base64;
  }
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
