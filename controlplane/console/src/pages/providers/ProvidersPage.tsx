// Where models are called, and how it goes: one card a provider, with what each proxy sees of each endpoint and model.
import { Pencil, Plug, Plus, Trash2 } from "lucide-react";
import { providers as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { Provider, ProviderStatus } from "@/api/types";
import { useApi, useRefresh } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useFilters } from "@/app/useFilters";
import { useQueryState } from "@/app/useQueryState";
import { share } from "@/pages/usage/aggregate";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { useConfirm } from "@/ui/Confirm";
import { Facts } from "@/ui/Facts";
import { Filters, TextFilter } from "@/ui/Filters";
import { formatCount, formatPercent, plural } from "@/ui/format";
import { Card, Page } from "@/ui/Page";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import { kKinds } from "./form";
import { failureShare, healthOf } from "./health";
import { ProviderDialog } from "./ProviderDialog";
import css from "./Providers.module.css";

const kStatusPollMs = 3_000;
const kFilterFrom = 8;
const kNew = "new";

export default function ProvidersPage({ gateway }: PageProps) {
  const data = useApi(
    ["providers", gateway],
    (signal) => allPages((pageToken) => api.list(gateway, { pageSize: 500, pageToken }, signal), (answer) => answer.providers),
    { pollMs: 15_000 },
  );
  const status = useApi(["provider-status", gateway], (signal) => api.status(gateway, signal), { pollMs: kStatusPollMs });
  const { values, set } = useFilters(["q"] as const);
  const [edit, setEdit] = useQueryState("edit");
  const whyNot = useWhyNot("admin");
  const add = (
    <Button kind="primary" icon={<Plus />} disabled={whyNot !== undefined} title={whyNot} onClick={() => setEdit(kNew)}>
      Add a provider
    </Button>
  );
  return (
    <Page title="Providers" lead="Where routes call their models, and what the proxies' calls and probes say of it." actions={add}>
      <RoleNote needed="admin" what="Adding, changing or removing a provider" />
      <WithData data={data} what="the providers" loading={<Card label="Providers"><Loading rows={8} /></Card>}>
        {(all) => {
          if (all.length === 0) {
            return (
              <Card label="Providers">
                <Empty icon={<Plug />} title="No provider yet">A provider is where models are called: OpenAI, Anthropic, Google, Bedrock, Azure, or anything that speaks like one of them.</Empty>
              </Card>
            );
          }
          const wanted = values.q.trim().toLowerCase();
          const found = all.filter((provider) => wanted === "" || provider.name.toLowerCase().includes(wanted));
          return (
            <>
              {all.length >= kFilterFrom && (
                <Card flush label="Find a provider">
                  <Filters label="Find a provider">
                    <TextFilter label="Name" value={values.q} onChange={(q) => set({ q })} />
                  </Filters>
                </Card>
              )}
              {found.length === 0 && <Card label="Providers"><Empty icon={<Plug />} title={`No provider is called like “${values.q}”`} /></Card>}
              {found.map((provider) => (
                <ProviderCard
                  key={provider.name}
                  gateway={gateway}
                  provider={provider}
                  statuses={(status.data?.statuses ?? []).filter((one) => one.provider === provider.name)}
                  statusKnown={status.data !== undefined}
                  whyNot={whyNot}
                  onEdit={() => setEdit(`provider ${provider.name}`)}
                />
              ))}
              {edit.startsWith("provider ") && <EditDialog gateway={gateway} all={all} name={edit.slice("provider ".length)} onClose={() => setEdit("")} />}
            </>
          );
        }}
      </WithData>
      {edit === kNew && whyNot === undefined && <ProviderDialog gateway={gateway} onClose={() => setEdit("")} />}
    </Page>
  );
}

function EditDialog({ gateway, all, name, onClose }: { gateway: string; all: Provider[]; name: string; onClose: () => void }) {
  const provider = all.find((candidate) => candidate.name === name);
  const whyNot = useWhyNot("admin");
  return provider && whyNot === undefined ? <ProviderDialog gateway={gateway} provider={provider} onClose={onClose} /> : null;
}

function ProviderCard({
  gateway,
  provider,
  statuses,
  statusKnown,
  whyNot,
  onEdit,
}: {
  gateway: string;
  provider: Provider;
  statuses: ProviderStatus[];
  statusKnown: boolean;
  whyNot?: string;
  onEdit: () => void;
}) {
  const confirm = useConfirm();
  const refresh = useRefresh();
  const toast = useToast();
  const remove = useAction(async () => {
    const yes = await confirm({
      title: `Remove ${provider.name}?`,
      body: "Its secrets go with it. The server refuses while a deployed route calls it.",
      action: "Remove",
      danger: true,
    });
    if (!yes) return;
    await api.remove(gateway, provider.name);
    await refresh(["providers", gateway]);
    toast.say(`${provider.name} is removed.`);
  });
  const health = healthOf(statuses);
  const calls = failureShare(statuses);
  const endpoints = provider.endpoints.length;
  return (
    <Card
      flush
      label={provider.name}
      title={
        <span className={css.title}>
          {provider.name}
          {statusKnown && (
            <Badge tone={health.tone} dot>
              {health.label}
            </Badge>
          )}
          <span className={css.speaks}>speaks {kKinds.find((kind) => kind.value === (provider.kind || "openai"))?.label ?? provider.kind}</span>
        </span>
      }
      actions={
        <>
          <Button small icon={<Pencil />} disabled={whyNot !== undefined} title={whyNot} aria-label={`Change ${provider.name}`} onClick={onEdit}>
            Change
          </Button>
          <Button small kind="quiet" icon={<Trash2 />} busy={remove.busy} disabled={whyNot !== undefined} title={whyNot} aria-label={`Remove ${provider.name}`} onClick={() => void remove.start()}>
            Remove
          </Button>
        </>
      }
    >
      <div className={css.facts}>
        <Facts
          facts={[
            endpoints === 0 && { name: "Base URL", value: provider.baseUrl || "the well-known one" },
            endpoints === 0 && { name: "Secret", value: provider.hasSecret ? "stored" : <span className="muted">none</span> },
            endpoints > 0 && {
              name: plural(endpoints, "endpoint"),
              value: provider.endpoints.map((endpoint) => `${endpoint.name} (weight ${endpoint.weight || 1}${endpoint.hasSecret || provider.hasSecret ? "" : ", no secret"})`).join(", "),
            },
            Object.keys(provider.options).length > 0 && { name: "Options", value: Object.entries(provider.options).map(([name, value]) => `${name}: ${value}`).join(", ") },
            Object.keys(provider.headers).length > 0 && { name: "Headers", value: Object.keys(provider.headers).join(", ") },
            { name: "Health check", value: provider.healthCheck ? `${provider.healthCheck.path} every ${provider.healthCheck.intervalS} s` : <span className="muted">only what calls tell</span> },
            { name: "Calls", value: calls.attempts === 0n ? <span className="muted">none</span> : `${formatCount(calls.attempts.toString())}, ${formatPercent(share(calls.failures, calls.attempts))} failed` },
            { name: "Changed", value: <Ago time={provider.updateTime} /> },
          ]}
        />
      </div>
      {statuses.length > 0 && <StatusTable provider={provider} statuses={statuses} />}
    </Card>
  );
}

const kBreakers = {
  BREAKER_UNSPECIFIED: { label: "unknown", tone: "neutral" },
  CLOSED: { label: "passing", tone: "ok" },
  OPEN: { label: "open", tone: "bad" },
  HALF_OPEN: { label: "probing", tone: "warn" },
} as const;

function StatusTable({ provider, statuses }: { provider: Provider; statuses: ProviderStatus[] }) {
  const columns: Column<ProviderStatus>[] = [
    {
      key: "model",
      head: "Endpoint and model",
      grow: true,
      cell: (status) => (
        <span className="wrap-anywhere">
          {provider.endpoints.length > 0 && <span className="muted">{status.endpoint} / </span>}
          {status.model || <em className={css.whole}>all models</em>}
        </span>
      ),
    },
    { key: "proxy", head: "Proxy", cell: (status) => status.proxyId },
    {
      key: "breaker",
      head: "Breaker",
      cell: (status) => (
        <span className={css.badges}>
          <Badge tone={kBreakers[status.breaker].tone} dot>
            {kBreakers[status.breaker].label}
          </Badge>
          {status.ejected && <Badge tone="warn" title="It gets no calls while another endpoint is there">set aside</Badge>}
        </span>
      ),
    },
    { key: "attempts", head: "Calls", align: "right", cell: (status) => formatCount(status.attempts) },
    {
      key: "failures",
      head: "Failed",
      align: "right",
      cell: (status) => (
        <span>
          {formatCount(status.failures)}
          <span className="muted"> {status.attempts === "0" ? "" : formatPercent(share(BigInt(status.failures), BigInt(status.attempts)))}</span>
        </span>
      ),
    },
    {
      key: "last",
      head: "Last failure",
      narrowHide: true,
      cell: (status) =>
        status.lastFailureUs === "0" ? (
          <span className="muted">none</span>
        ) : (
          <span>
            <code>{status.lastError}</code> <Ago us={status.lastFailureUs} />
          </span>
        ),
    },
  ];
  return (
    <div className={css.statuses}>
      <Table caption={`What the proxies say of ${provider.name}`} columns={columns} rows={statuses} rowKey={(status) => `${status.endpoint} ${status.model} ${status.proxyId}`} />
    </div>
  );
}
