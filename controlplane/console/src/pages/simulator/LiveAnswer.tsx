// What came back through the proxy: the answer as it streams, and below it model, tokens, cost, latency, what remains.
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { LimitLeft } from "@/api/limitHeader";
import { paths } from "@/app/paths";
import { Badge } from "@/ui/Badge";
import { formatCount, formatMicros, formatNanos, formatSeconds } from "@/ui/format";
import { Notice } from "@/ui/States";
import css from "./simulator.module.css";
import type { LiveRun } from "./useLiveRun";

export function LiveAnswer({ gateway, run }: { gateway: string; run: LiveRun }) {
  if (run.state === "idle") return <p className={css.idle}>Send the prompt through a proxy and watch the answer come.</p>;
  return (
    <>
      {run.error && (
        <Notice tone="bad" live>
          <strong>
            {run.status ? `${run.status} ` : ""}
            {run.error.code}
          </strong>
          <span>{run.error.message}</span>
          {run.retryAfterS !== undefined && <span>Again in {formatSeconds(run.retryAfterS)} at the earliest.</span>}
        </Notice>
      )}
      {(run.text !== "" || run.state === "running") && (
        <div className={css.answer} aria-live="polite" aria-busy={run.state === "running"} tabIndex={0} role="region" aria-label="The answer">
          {run.text || <span className="muted">waiting for the first token …</span>}
        </div>
      )}
      <dl className={css.facts}>
        <Fact label="Model">{run.model ? `${run.provider ?? ""}/${run.model}` : run.state === "running" ? "…" : "none"}</Fact>
        <Fact label="Tokens">{run.tokens ? `${formatCount(run.tokens.input)} in, ${formatCount(run.tokens.output)} out` : recordTokens(run)}</Fact>
        <Fact label="Cost">{run.record ? `${formatNanos(run.record.costNanos)}${run.record.estimated ? ", estimated" : ""}` : "…"}</Fact>
        <Fact label="First token">{run.firstTokenMs !== undefined ? formatMicros(run.firstTokenMs * 1_000) : "…"}</Fact>
        <Fact label="Total">{run.totalMs !== undefined ? formatMicros(run.totalMs * 1_000) : "…"}</Fact>
        <Fact label="Version">{run.version ?? "…"}</Fact>
      </dl>
      {run.limits.length > 0 && <Limits limits={run.limits} />}
      {run.path && <p className={css.path}>{run.path.split("/").join(" → ")}</p>}
      {run.logId && (
        <Link className={css.record} href={paths.request(gateway, run.logId)}>
          Open the request
        </Link>
      )}
    </>
  );
}

const recordTokens = (run: LiveRun) =>
  run.record?.usage ? `${formatCount(run.record.usage.input)} in, ${formatCount(run.record.usage.output)} out` : run.state === "running" ? "…" : "none";

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const kUnits: Record<string, (value: number) => string> = {
  usd: (value) => formatNanos(Math.round(value * 1e9)),
  requests: (value) => `${formatCount(value)} requests`,
  tokens: (value) => `${formatCount(value)} tokens`,
};

function Limits({ limits }: { limits: LimitLeft[] }) {
  return (
    <ul className={css.limits} aria-label="What remains">
      {limits.map((limit, index) => {
        const show = kUnits[limit.unit] ?? String;
        const share = limit.limit > 0 ? Math.max(0, Math.min(1, limit.remaining / limit.limit)) : 0;
        return (
          <li key={index}>
            <span className={css.limitText}>
              <span title={limit.pool}>{limit.pool.split("/").at(-1)}</span>
              {limit.shadow && <Badge tone={limit.shadow === "denied" ? "warn" : "neutral"}>shadow, {limit.shadow}</Badge>}
              <span className={css.left}>
                {show(limit.remaining)} of {show(limit.limit)} left
              </span>
            </span>
            <meter min={0} max={1} low={0.1} value={share} aria-label={`${limit.pool}: ${show(limit.remaining)} left`} />
          </li>
        );
      })}
    </ul>
  );
}
