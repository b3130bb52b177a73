// Gateway keys: what applications call with. A key's text is shown once, when it is made.
import { KeyRound, Plus } from "lucide-react";
import { Link } from "wouter";
import { keys as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { GatewayKey } from "@/api/types";
import { useApi, useRefresh } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useFilters } from "@/app/useFilters";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { useConfirm } from "@/ui/Confirm";
import { Filters, SelectFilter, TextFilter } from "@/ui/Filters";
import { Card, Page } from "@/ui/Page";
import { Pager } from "@/ui/Pager";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import { KeyDialog } from "./KeyDialog";
import css from "./Keys.module.css";
import { stateOf } from "./state";

const kPageSize = 50;

export default function KeysPage({ gateway }: PageProps) {
  const data = useApi(
    ["keys", gateway],
    (signal) => allPages((pageToken) => api.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.keys),
    { pollMs: 15_000 },
  );
  const [create, setCreate] = useQueryState("create");
  const whyNot = useWhyNot("admin");
  return (
    <Page
      title="Keys"
      lead="Applications call the gateway with a key. What is pinned to it cannot be said otherwise by a request."
      actions={
        <Button kind="primary" icon={<Plus />} disabled={whyNot !== undefined} title={whyNot} onClick={() => setCreate("1")}>
          Create a key
        </Button>
      }
    >
      <RoleNote needed="admin" what="Creating or revoking a key" />
      <Card flush label="Keys">
        <WithData data={data} what="the keys" loading={<Loading rows={6} />}>
          {(all) =>
            all.length === 0 ? (
              <Empty icon={<KeyRound />} title="No key yet">Nobody can call the gateway before there is one.</Empty>
            ) : (
              <KeyList gateway={gateway} all={all} whyNot={whyNot} />
            )
          }
        </WithData>
      </Card>
      {create === "1" && whyNot === undefined && <KeyDialog gateway={gateway} onClose={() => setCreate("")} />}
    </Page>
  );
}

function KeyList({ gateway, all, whyNot }: { gateway: string; all: GatewayKey[]; whyNot?: string }) {
  const { values, set } = useFilters(["q", "state", "page"] as const);
  const wanted = values.q.trim().toLowerCase();
  const found = all.filter(
    (key) => (wanted === "" || `${key.displayName} ${key.id}`.toLowerCase().includes(wanted)) && (values.state === "" || stateOf(key, Date.now()) === values.state),
  );
  const page = Math.max(0, Math.min(Number(values.page) - 1 || 0, Math.ceil(found.length / kPageSize) - 1));
  const columns: Column<GatewayKey>[] = [
    {
      key: "name",
      head: "Name",
      grow: true,
      cell: (key) => (
        <>
          <p className={css.name}>{key.displayName || "unnamed"}</p>
          <p className={css.id}>{key.id}</p>
        </>
      ),
    },
    { key: "state", head: "State", cell: (key) => <State gatewayKey={key} /> },
    {
      key: "routes",
      head: "Routes",
      narrowHide: true,
      cell: (key) =>
        key.allowedRoutes.length === 0 ? (
          <span className="muted">every route</span>
        ) : (
          <span className={css.routes}>
            {key.allowedRoutes.map((route) => (
              <Link key={route} href={paths.route(gateway, route)}>
                {route}
              </Link>
            ))}
          </span>
        ),
    },
    { key: "pinned", head: "Pinned metadata", narrowHide: true, cell: (key) => (key.pinnedMetadataJson && key.pinnedMetadataJson !== "{}" ? <code className="wrap-anywhere">{key.pinnedMetadataJson}</code> : <span className="muted">none</span>) },
    { key: "created", head: "Created", narrowHide: true, cell: (key) => <Ago time={key.createTime} /> },
    { key: "usage", head: "Usage", cell: (key) => <Link href={paths.usage(gateway, { key: key.id })} aria-label={`Usage of ${key.displayName || key.id}`}>Usage</Link> },
    { key: "actions", head: <span className="visually-hidden">Actions</span>, align: "right", cell: (key) => <Revoke gateway={gateway} gatewayKey={key} whyNot={whyNot} /> },
  ];
  return (
    <>
      <Filters label="Find a key">
        <TextFilter label="Name or id" value={values.q} onChange={(q) => set({ q, page: "" })} />
        <SelectFilter
          label="State"
          value={values.state}
          choices={[
            { value: "active", label: "active" },
            { value: "expired", label: "expired" },
            { value: "revoked", label: "revoked" },
          ]}
          onChange={(state) => set({ state, page: "" })}
        />
      </Filters>
      {found.length === 0 ? (
        <Empty icon={<KeyRound />} title="No key fits">Remove a filter.</Empty>
      ) : (
        <Table caption="Keys" columns={columns} rows={found.slice(page * kPageSize, (page + 1) * kPageSize)} rowKey={(key) => key.id} />
      )}
      <Pager page={page} size={kPageSize} total={found.length} onPage={(next) => set({ page: String(next + 1) })} />
    </>
  );
}

function State({ gatewayKey }: { gatewayKey: GatewayKey }) {
  switch (stateOf(gatewayKey, Date.now())) {
    case "revoked":
      return <Badge>revoked</Badge>;
    case "expired":
      return <Badge tone="warn">expired</Badge>;
    default:
      return (
        <span className={css.state}>
          <Badge tone="ok" dot>
            active
          </Badge>
          {gatewayKey.expireTime && (
            <span className="muted small">
              ends <Ago time={gatewayKey.expireTime} />
            </span>
          )}
        </span>
      );
  }
}

function Revoke({ gateway, gatewayKey, whyNot }: { gateway: string; gatewayKey: GatewayKey; whyNot?: string }) {
  const confirm = useConfirm();
  const refresh = useRefresh();
  const toast = useToast();
  const name = gatewayKey.displayName || gatewayKey.id;
  const revoke = useAction(async () => {
    const yes = await confirm({
      title: `Revoke ${name}?`,
      body: "Whoever calls with it is refused from now on. It cannot be undone.",
      action: "Revoke",
      danger: true,
    });
    if (!yes) return;
    await api.revoke(gateway, gatewayKey.id);
    await refresh(["keys", gateway]);
    toast.say(`${name} is revoked.`);
  });
  if (gatewayKey.revokeTime) return <span className="muted small"><Ago time={gatewayKey.revokeTime} /></span>;
  return (
    <Button small kind="quiet" busy={revoke.busy} disabled={whyNot !== undefined} title={whyNot} aria-label={`Revoke ${name}`} onClick={() => void revoke.start()}>
      Revoke
    </Button>
  );
}
