// Which page an address opens; each is loaded when it is first opened. A page gets `gateway` and its path's parameters.
import { lazy, type ComponentType } from "react";

export interface PageProps {
  gateway: string;
  params: Record<string, string>;
}

type Load = () => Promise<{ default: ComponentType<PageProps> }>;
const page = (path: string, load: Load) => ({ path, component: lazy(load) });

export const kPages = [
  page("/g/:gateway/routes", () => import("@/pages/routes/RoutesPage")),
  page("/g/:gateway/new-route", () => import("@/pages/routes/NewRoutePage")),
  page("/g/:gateway/routes/:route", () => import("@/pages/builder/BuilderPage")),
  page("/g/:gateway/routes/:route/versions", () => import("@/pages/versions/VersionsPage")),
  page("/g/:gateway/routes/:route/diff", () => import("@/pages/versions/DiffPage")),
  page("/g/:gateway/routes/:route/simulator", () => import("@/pages/simulator/SimulatorPage")),
  page("/g/:gateway/usage", () => import("@/pages/usage/UsagePage")),
  page("/g/:gateway/requests", () => import("@/pages/requests/RequestsPage")),
  page("/g/:gateway/requests/:id", () => import("@/pages/requests/RequestPage")),
  page("/g/:gateway/budgets", () => import("@/pages/budgets/BudgetsPage")),
  page("/g/:gateway/providers", () => import("@/pages/providers/ProvidersPage")),
  page("/g/:gateway/keys", () => import("@/pages/keys/KeysPage")),
  page("/g/:gateway/prices", () => import("@/pages/prices/PricesPage")),
  page("/g/:gateway/counters", () => import("@/pages/counters/CountersPage")),
  page("/g/:gateway/fleet", () => import("@/pages/fleet/FleetPage")),
  page("/g/:gateway/tokens", () => import("@/pages/tokens/TokensPage")),
  page("/g/:gateway/audit", () => import("@/pages/audit/AuditPage")),
  page("/g/:gateway/settings", () => import("@/pages/settings/SettingsPage")),
] as const;
