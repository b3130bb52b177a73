// What each proxy runs, and whether that is what is published.
import { Server } from "lucide-react";
import { admin, fleet as api } from "@/api/api";
import type { ProxyStatus, SnapshotId } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Facts } from "@/ui/Facts";
import { big, formatCount, plural } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { Segments } from "@/ui/Tabs";
import { Empty, Loading, Notice, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { driftOf, stateOf, type FleetState } from "./drift";
import css from "./Fleet.module.css";

const kPollMs = 2_000;
const kLooks: Record<FleetState, { label: string; tone: "ok" | "warn" | "bad" | "neutral" }> = {
  sync: { label: "in sync", tone: "ok" },
  behind: { label: "behind", tone: "warn" },
  rejected: { label: "refused the newest", tone: "bad" },
  away: { label: "not connected", tone: "neutral" },
};
const kShow = [
  { value: "", label: "All" },
  { value: "drift", label: "Out of sync" },
] as const;

export default function FleetPage(_: PageProps) {
  const data = useApi(["fleet"], (signal) => api.list(signal), { pollMs: kPollMs });
  const server = useApi(["server"], (signal) => admin.server(signal), { pollMs: 30_000 });
  const [show, setShow] = useQueryState("show");
  return (
    <Page title="Fleet" lead="Every proxy that called in, with what it runs." actions={<Segments label="Which proxies" choices={kShow} value={show === "drift" ? "drift" : ""} onPick={setShow} />}>
      <WithData data={data} what="the fleet" loading={<Card label="Fleet"><Loading rows={6} /></Card>}>
        {({ proxies, published }) => (
          <>
            <Card label="Published">
              <Facts
                facts={[
                  { name: "Published snapshot", value: published ? <span title={published.sha256}>{`${published.sequence} (${published.sha256.slice(0, 10)})`}</span> : "none" },
                  { name: "Proxies in sync", value: `${proxies.filter((proxy) => stateOf(proxy) === "sync").length} of ${proxies.length}` },
                  { name: "Requests in flight", value: formatCount(proxies.reduce((sum, proxy) => sum + big(proxy.inFlightRequests), 0n).toString()) },
                  { name: "Control plane", value: server.data?.build ?? "…" },
                  { name: "Up since", value: <Ago time={server.data?.startTime} /> },
                ]}
              />
            </Card>
            <Card flush label="Proxies">
              <Proxies proxies={show === "drift" ? proxies.filter((proxy) => stateOf(proxy) !== "sync") : proxies} published={published} any={proxies.length > 0} />
            </Card>
          </>
        )}
      </WithData>
    </Page>
  );
}

function Proxies({ proxies, published, any }: { proxies: ProxyStatus[]; published?: SnapshotId; any: boolean }) {
  if (proxies.length === 0) {
    return any ? (
      <Empty icon={<Server />} title="Every proxy runs what is published" />
    ) : (
      <Empty icon={<Server />} title="No proxy has called in yet">
        Start one with <code>signalbox-proxy --control_plane=…</code>; it appears here by itself.
      </Empty>
    );
  }
  const columns: Column<ProxyStatus>[] = [
    {
      key: "proxy",
      head: "Proxy",
      grow: true,
      cell: (proxy) => (
        <>
          <p className={css.name}>{proxy.proxyId}</p>
          <p className={css.about}>
            {[proxy.httpAddress, ...Object.entries(proxy.labels).map(([name, value]) => `${name}=${value}`)].filter(Boolean).join(" · ")}
          </p>
          {proxy.rejected.length > 0 && (
            <div className={css.faults}>
              <Notice tone="bad">
                <ul>
                  {proxy.rejected.map((fault, index) => (
                    <li key={index}>
                      {fault.elementId ? <strong>{fault.elementId}: </strong> : null}
                      {fault.message}
                    </li>
                  ))}
                </ul>
              </Notice>
            </div>
          )}
        </>
      ),
    },
    {
      key: "state",
      head: "State",
      cell: (proxy) => {
        const look = kLooks[stateOf(proxy)];
        return (
          <Badge tone={look.tone} dot>
            {look.label}
          </Badge>
        );
      },
    },
    {
      key: "applied",
      head: "Runs",
      align: "right",
      cell: (proxy) => (
        <span title={proxy.applied?.sha256}>
          {proxy.applied ? proxy.applied.sequence : "nothing"}
          <span className="muted"> {driftOf(proxy, published)}</span>
        </span>
      ),
    },
    { key: "since", head: "Since", narrowHide: true, cell: (proxy) => (proxy.appliedUs && proxy.appliedUs !== "0" ? <Ago us={proxy.appliedUs} /> : <span className="muted">unknown</span>) },
    { key: "heard", head: "Last heard", cell: (proxy) => <Ago us={proxy.lastHeardUs} /> },
    { key: "inflight", head: "In flight", align: "right", cell: (proxy) => formatCount(proxy.inFlightRequests) },
    { key: "build", head: "Build", narrowHide: true, cell: (proxy) => proxy.build },
  ];
  return (
    <>
      <Table caption="Proxies" columns={columns} rows={proxies} rowKey={(proxy) => proxy.proxyId} />
      <p className="visually-hidden" role="status">
        {plural(proxies.length, "proxy", "proxies")}
      </p>
    </>
  );
}
