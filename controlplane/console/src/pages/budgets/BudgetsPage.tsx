// Every limit of every deployed route, with how full its fullest counters are.
import { Gauge } from "lucide-react";
import { Link } from "wouter";
import type { DeployedLimit } from "@/api/types";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useFilters } from "@/app/useFilters";
import { Badge } from "@/ui/Badge";
import { ButtonLink } from "@/ui/Button";
import { Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { formatAmount, plural } from "@/ui/format";
import { Meter } from "@/ui/Meter";
import { Card, Page } from "@/ui/Page";
import { Empty, Loading, WithData } from "@/ui/States";
import css from "./Budgets.module.css";
import { fullestOf, fullness, identifierText, limitText, useLimits } from "./limits";

const kTypes = [
  { value: "cost", label: "Dollars" },
  { value: "count", label: "Requests" },
  { value: "tokens", label: "Tokens" },
];
const kLeast = [
  { value: "0.8", label: "80% or fuller" },
  { value: "1", label: "full" },
];

export default function BudgetsPage({ gateway }: PageProps) {
  const data = useLimits(gateway);
  const { values, set } = useFilters(["q", "type", "least", "order"] as const);
  return (
    <Page title="Budgets" lead="The limits of every route that serves, each with the counters nearest to it.">
      <WithData data={data} what="the limits" loading={<Card label="Limits"><Loading label="Loading the limits" rows={8} /></Card>}>
        {(all) =>
          all.length === 0 ? (
            <Card label="Limits">
              <Empty icon={<Gauge />} title="No limit yet" action={<ButtonLink href={paths.routes(gateway)}>All routes</ButtonLink>}>
                Put a limit block on a route and deploy it: how much everyone has used of it shows here.
              </Empty>
            </Card>
          ) : (
            <>
              <Card flush label="Filter the limits">
                <Filters label="Filter the limits">
                  <TextFilter label="Route or limit" value={values.q} onChange={(q) => set({ q })} />
                  <SelectFilter label="Counts" value={values.type} choices={kTypes} onChange={(type) => set({ type })} />
                  <SelectFilter label="How full" value={values.least} choices={kLeast} onChange={(least) => set({ least })} />
                  <SelectFilter label="Order" any="by route" value={values.order} choices={[{ value: "full", label: "fullest first" }]} onChange={(order) => set({ order })} />
                </Filters>
              </Card>
              <Limits gateway={gateway} all={all} query={values.q} type={values.type} least={Number(values.least)} fullestFirst={values.order === "full"} />
            </>
          )
        }
      </WithData>
    </Page>
  );
}

function Limits({
  gateway,
  all,
  query,
  type,
  least,
  fullestFirst,
}: {
  gateway: string;
  all: DeployedLimit[];
  query: string;
  type: string;
  least: number;
  fullestFirst: boolean;
}) {
  const wanted = query.trim().toLowerCase();
  const found = all.filter(
    (limit) => (wanted === "" || `${limit.route} ${limit.elementId}`.toLowerCase().includes(wanted)) && (type === "" || limit.limitType === type) && fullestOf(limit) >= least,
  );
  if (found.length === 0) {
    return (
      <Card label="Limits">
        <Empty icon={<Gauge />} title="No limit fits">Remove a filter.</Empty>
      </Card>
    );
  }
  if (fullestFirst) {
    const sorted = [...found].sort((a, b) => fullestOf(b) - fullestOf(a));
    return (
      <Card flush title="Fullest first">
        {sorted.map((limit) => (
          <LimitRow key={`${limit.routeId} ${limit.elementId}`} gateway={gateway} limit={limit} withRoute />
        ))}
      </Card>
    );
  }
  const byRoute = new Map<string, DeployedLimit[]>();
  for (const limit of found) byRoute.set(limit.routeId, [...(byRoute.get(limit.routeId) ?? []), limit]);
  return (
    <>
      {[...byRoute].map(([id, limits]) => (
        <Card
          key={id}
          flush
          label={limits[0]!.route}
          title={
            <span className={css.route}>
              <Link href={paths.route(gateway, limits[0]!.route)}>{limits[0]!.route}</Link>
              <span className="muted small">v{limits[0]!.version}</span>
            </span>
          }
        >
          {limits.map((limit) => (
            <LimitRow key={limit.elementId} gateway={gateway} limit={limit} />
          ))}
        </Card>
      ))}
    </>
  );
}

function LimitRow({ gateway, limit, withRoute }: { gateway: string; limit: DeployedLimit; withRoute?: boolean }) {
  return (
    <div className={css.limit}>
      <div>
        <p className={css.name}>
          <Link href={paths.route(gateway, limit.route, limit.elementId)}>
            {withRoute ? `${limit.route} / ` : ""}
            {limit.elementId}
          </Link>
          {limit.shadow && <Badge title="It counts, but refuses nobody">watches only</Badge>}
        </p>
        <p className={css.about}>
          {limitText(limit)}, {limit.key.length === 0 ? "all together" : `for each ${limit.key.join(" and ")}`}
        </p>
      </div>
      <div className={css.fullest}>
        {limit.fullest.length === 0 && <p className="muted small">Nothing has been counted in this window.</p>}
        {limit.fullest.map((counter) => (
          <div key={counter.identifier} className={css.counter}>
            <span className={css.who} title={identifierText(counter)}>{identifierText(counter)}</span>
            <Meter part={fullness(counter, limit.limit)} label={`${identifierText(counter)} at ${limit.elementId}`} shadow={limit.shadow} />
            <span className={css.used}>
              {formatAmount(counter.counter?.used, limit.unit)}
              {counter.counter && counter.counter.held !== "0" && <span className="muted"> incl. {formatAmount(counter.counter.held, limit.unit)} held</span>}
            </span>
          </div>
        ))}
      </div>
      <ButtonLink small href={paths.counters(gateway, { route: limit.route, element: limit.elementId })}>
        {limit.counters === "0" ? "Counters" : plural(BigInt(limit.counters), "counter")}
      </ButtonLink>
    </div>
  );
}
