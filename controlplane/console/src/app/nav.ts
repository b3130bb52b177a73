// The navigation: one entry a page.
import {
  ArrowLeftRight,
  BadgeDollarSign,
  ChartNoAxesColumn,
  Gauge,
  KeyRound,
  Plug,
  ScrollText,
  Server,
  ShieldCheck,
  SlidersHorizontal,
  Timer,
  Workflow,
  type LucideIcon,
} from "lucide-react";
import { paths } from "./paths";

interface NavItem {
  label: string;
  icon: LucideIcon;
  href: (gateway: string) => string;
  under?: (location: string) => boolean;
}

export const kSections: readonly { label: string; items: readonly NavItem[] }[] = [
  {
    label: "Build",
    items: [
      { label: "Routes", icon: Workflow, href: paths.routes, under: (location) => location.endsWith("/new-route") },
    ],
  },
  {
    label: "Observe",
    items: [
      { label: "Usage", icon: ChartNoAxesColumn, href: paths.usage },
      { label: "Requests", icon: ArrowLeftRight, href: paths.requests },
      { label: "Budgets", icon: Gauge, href: paths.budgets },
    ],
  },
  {
    label: "Operate",
    items: [
      { label: "Providers", icon: Plug, href: paths.providers },
      { label: "Keys", icon: KeyRound, href: paths.keys },
      { label: "Prices", icon: BadgeDollarSign, href: paths.prices },
      { label: "Fleet", icon: Server, href: paths.fleet },
      { label: "Counters", icon: Timer, href: paths.counters },
      { label: "Settings", icon: SlidersHorizontal, href: paths.settings },
    ],
  },
  {
    label: "Access",
    items: [
      { label: "Tokens", icon: ShieldCheck, href: paths.tokens },
      { label: "Audit", icon: ScrollText, href: paths.audit },
    ],
  },
];
