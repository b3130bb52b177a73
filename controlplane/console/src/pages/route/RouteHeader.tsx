// What stands above every page of one route: its name, what serves, and its pages.
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Route } from "@/api/types";
import { paths } from "@/app/paths";
import { Badge } from "@/ui/Badge";
import { usePageTitle } from "@/ui/Page";
import { LinkTabs } from "@/ui/Tabs";
import css from "./RouteHeader.module.css";

export type RouteTab = "flow" | "versions" | "simulator";

export function RouteHeader({
  gateway,
  route,
  tab,
  state,
  actions,
}: {
  gateway: string;
  route: Route;
  tab: RouteTab;
  state?: ReactNode;
  actions?: ReactNode;
}) {
  usePageTitle(route.name);
  const live = route.deployedVersion !== "0";
  return (
    <header className={css.header}>
      <div className={css.top}>
        <div className={css.titles}>
          <nav aria-label="Breadcrumb" className={css.crumb}>
            <Link href={paths.routes(gateway)}>Routes</Link>
            <span aria-hidden="true">/</span>
          </nav>
          <h1>{route.name}</h1>
          {live ? (
            <Badge tone="ok" dot>
              v{route.deployedVersion} serves
            </Badge>
          ) : (
            <Badge>not deployed</Badge>
          )}
          {state}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </div>
      <LinkTabs
        label="Pages of the route"
        current={tab}
        tabs={[
          { key: "flow", label: "Flow", href: paths.route(gateway, route.name) },
          { key: "versions", label: "Versions", href: paths.versions(gateway, route.name) },
          { key: "simulator", label: "Simulator", href: paths.simulator(gateway, route.name) },
        ]}
      />
    </header>
  );
}
