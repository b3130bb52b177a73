import { CircleCheck, CircleX, LoaderCircle, Unplug } from "lucide-react";
import { useRef } from "react";
import { fleet as api } from "@/api/api";
import type { ProxyStatus } from "@/api/types";
import { useApi } from "@/api/useApi";
import { big, formatMicros, fromMicros } from "@/ui/format";
import { Notice, WithData } from "@/ui/States";
import css from "./FleetProgress.module.css";

const kPollMs = 500;

type State = "applied" | "rejected" | "waiting" | "away";

function stateOf(proxy: ProxyStatus, sequence: bigint): State {
  if (proxy.applied && big(proxy.applied.sequence) >= sequence) return "applied";
  if (proxy.rejected.length > 0 && proxy.rejectedId && big(proxy.rejectedId.sequence) >= sequence) return "rejected";
  return proxy.connected ? "waiting" : "away";
}

// How each proxy takes the snapshot `sequence`, published at `since` by this browser's clock.
export function FleetProgress({ sequence, since }: { sequence: string; since: number }) {
  const data = useApi(["fleet", "progress"], (signal) => api.list(signal), { pollMs: kPollMs });
  const wanted = big(sequence);
  const seen = useRef(new Map<string, number>());
  return (
    <WithData data={data} what="the fleet">
      {({ proxies }) => {
        if (proxies.length === 0) return <Notice tone="warn">No proxy has called in yet. The first one to do so gets this version.</Notice>;
        const taken = proxies.filter((proxy) => stateOf(proxy, wanted) === "applied").length;
        return (
          <div>
            <p className={css.sum} role="status">
              {taken} of {proxies.length} proxies serve it
            </p>
            <ul className={css.list}>
              {proxies.map((proxy) => (
                <ProxyRow key={proxy.proxyId} proxy={proxy} state={stateOf(proxy, wanted)} latency={latencyOf(proxy, stateOf(proxy, wanted), since, seen.current)} />
              ))}
            </ul>
          </div>
        );
      }}
    </WithData>
  );
}

// From the deployment to the proxy's word that it applied it: by the server's clock where that is told and sane, else
// when this page first saw it.
function latencyOf(proxy: ProxyStatus, state: State, since: number, seen: Map<string, number>): string {
  if (state !== "applied") return "";
  if (!seen.has(proxy.proxyId)) seen.set(proxy.proxyId, Date.now() - since);
  const told = proxy.appliedUs && proxy.appliedUs !== "0" ? fromMicros(proxy.appliedUs).getTime() - since : -1;
  const observed = seen.get(proxy.proxyId)!;
  return told >= 0 && told <= observed ? formatMicros(told * 1_000) : `within ${formatMicros(observed * 1_000)}`;
}

const kLook = {
  applied: { icon: CircleCheck, className: css.ok, text: "serves it" },
  rejected: { icon: CircleX, className: css.bad, text: "refused it and serves what it had" },
  waiting: { icon: LoaderCircle, className: css.waiting, text: "has not answered yet" },
  away: { icon: Unplug, className: css.away, text: "is not connected; it gets it when it is back" },
} as const;

function ProxyRow({ proxy, state, latency }: { proxy: ProxyStatus; state: State; latency: string }) {
  const look = kLook[state];
  const Icon = look.icon;
  return (
    <li className={css.proxy} data-state={state}>
      <Icon className={look.className} aria-hidden="true" />
      <div className={css.text}>
        <strong>{proxy.proxyId}</strong> {look.text}
        {state === "rejected" && (
          <ul className={css.reasons}>
            {proxy.rejected.map((fault, index) => (
              <li key={index}>{fault.message}</li>
            ))}
          </ul>
        )}
      </div>
      <span className={css.latency}>{latency}</span>
    </li>
  );
}
