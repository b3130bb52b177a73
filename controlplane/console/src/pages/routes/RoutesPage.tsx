// All routes of a gateway: found by name, with what serves and what waits.
import { EllipsisVertical, FlaskConical, History, Pencil, Plus, Search, Trash2, Workflow } from "lucide-react";
import { useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { routes as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { Route } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useMay } from "@/app/session";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { ButtonLink, IconButton } from "@/ui/Button";
import { Field, TextInput } from "@/ui/Field";
import { Menu } from "@/ui/Menu";
import { Card, Page } from "@/ui/Page";
import { Pager } from "@/ui/Pager";
import { Empty, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { RenameDialog } from "./RenameDialog";
import css from "./routes.module.css";
import { useDeleteRoute } from "./useDeleteRoute";

const kPageSize = 50;
const kPollMs = 10_000;

export default function RoutesPage({ gateway }: PageProps) {
  const data = useApi(
    ["routes", gateway],
    (signal) => allPages((pageToken) => api.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.routes),
    { pollMs: kPollMs },
  );
  const mayEdit = useMay("editor");
  return (
    <Page
      title="Routes"
      lead="A route decides, request by request, who may call which model and what it may cost."
      actions={mayEdit && <ButtonLink href={paths.newRoute(gateway)} kind="primary" icon={<Plus />}>New route</ButtonLink>}
    >
      <Card flush label="Routes">
        <WithData data={data} what="the routes">
          {(all) => (all.length === 0 ? <NoRoutes gateway={gateway} /> : <RouteList gateway={gateway} all={all} />)}
        </WithData>
      </Card>
    </Page>
  );
}

function NoRoutes({ gateway }: { gateway: string }) {
  return (
    <Empty
      icon={<Workflow />}
      title="No routes yet"
      action={<ButtonLink href={paths.newRoute(gateway)} kind="primary" icon={<Plus />}>New route</ButtonLink>}
    >
      Draw one from blocks: conditions, limits, splits and models. Your application then calls it as <code>dynamic/&lt;name&gt;</code>.
    </Empty>
  );
}

function RouteList({ gateway, all }: { gateway: string; all: Route[] }) {
  const [query, setQuery] = useQueryState("q");
  const [pageText, setPage] = useQueryState("page", "1");
  const found = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    return wanted === "" ? all : all.filter((route) => route.name.toLowerCase().includes(wanted));
  }, [all, query]);
  const page = Math.max(0, Math.min(Number(pageText) - 1 || 0, Math.ceil(found.length / kPageSize) - 1));
  const shown = found.slice(page * kPageSize, (page + 1) * kPageSize);
  const [menu, setMenu] = useState<{ route: Route; near: DOMRect } | null>(null);
  const [renaming, setRenaming] = useState<Route | null>(null);
  const remove = useDeleteRoute(gateway);
  const mayEdit = useMay("editor");
  const mayDeploy = useMay("deployer");

  const columns: Column<Route>[] = [
    {
      key: "name",
      head: "Name",
      grow: true,
      cell: (route) => (
        <Link href={paths.route(gateway, route.name)} className={css.name}>
          {route.name}
        </Link>
      ),
    },
    { key: "live", head: "Serving", cell: (route) => <Serving route={route} /> },
    { key: "latest", head: "Latest", align: "right", cell: (route) => `v${route.latestVersion}` },
    { key: "updated", head: "Changed", narrowHide: true, cell: (route) => <span className={css.time}><Ago time={route.updateTime} /></span> },
    {
      key: "actions",
      head: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (route) => (
        <IconButton
          small
          label={`Actions for ${route.name}`}
          aria-haspopup="menu"
          icon={<EllipsisVertical />}
          onClick={(event) => setMenu({ route, near: event.currentTarget.getBoundingClientRect() })}
        />
      ),
    },
  ];
  return (
    <>
      <div className={css.toolbar}>
        <div className={css.search}>
          <Search aria-hidden="true" />
          <Field label="Find a route" hideLabel>
            <TextInput
              type="search"
              placeholder="Find by name"
              value={query}
              onChange={(event) => setQuery(event.target.value)}
            />
          </Field>
        </div>
        <span className="muted small num" aria-live="polite">
          {found.length === all.length ? `${all.length} ${all.length === 1 ? "route" : "routes"}` : `${found.length} of ${all.length}`}
        </span>
      </div>
      {shown.length === 0 ? (
        <Empty icon={<Search />} title={`No route is called like “${query}”`} />
      ) : (
        <Table caption="Routes" columns={columns} rows={shown} rowKey={(route) => route.id} />
      )}
      <Pager page={page} size={kPageSize} total={found.length} onPage={(next) => setPage(String(next + 1))} />
      {menu && (
        <RouteMenu
          gateway={gateway}
          route={menu.route}
          near={menu.near}
          onClose={() => setMenu(null)}
          onRename={mayEdit ? () => setRenaming(menu.route) : undefined}
          onDelete={mayDeploy ? () => void remove(menu.route) : undefined}
        />
      )}
      {renaming && <RenameDialog gateway={gateway} route={renaming} onClose={() => setRenaming(null)} />}
    </>
  );
}

function Serving({ route }: { route: Route }) {
  if (route.deployedVersion === "0") return <Badge>not deployed</Badge>;
  const waits = BigInt(route.latestVersion) > BigInt(route.deployedVersion);
  return (
    <span className={css.badges}>
      <Badge tone="ok" dot>
        v{route.deployedVersion}
      </Badge>
      {waits && <Badge tone="warn">v{route.latestVersion} waits</Badge>}
    </span>
  );
}

function RouteMenu({
  gateway,
  route,
  near,
  onClose,
  onRename,
  onDelete,
}: {
  gateway: string;
  route: Route;
  near: DOMRect;
  onClose: () => void;
  onRename?: () => void;
  onDelete?: () => void;
}) {
  const [, go] = useLocation();
  return (
    <Menu
      label={`Actions for ${route.name}`}
      near={near}
      onClose={onClose}
      items={[
        { key: "versions", label: "Versions", icon: <History />, onPick: () => go(paths.versions(gateway, route.name)) },
        { key: "simulate", label: "Simulate", icon: <FlaskConical />, onPick: () => go(paths.simulator(gateway, route.name)) },
        { key: "rename", label: "Rename …", icon: <Pencil />, disabled: !onRename, onPick: () => onRename?.() },
        { key: "delete", label: "Delete …", icon: <Trash2 />, danger: true, disabled: !onDelete, onPick: () => onDelete?.() },
      ]}
    />
  );
}
