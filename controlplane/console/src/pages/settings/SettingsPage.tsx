// A gateway's settings, and new gateways.
import { Plus } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { gateways as api } from "@/api/api";
import type { Gateway, GatewaySettings } from "@/api/types";
import { useApi, useRefresh } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useSession } from "@/app/session";
import { useRouteChoices } from "@/app/useNames";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Checkbox, Field, Select, TextInput } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { Card, Page } from "@/ui/Page";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, Notice, WithData } from "@/ui/States";
import { Table } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { messageOf, useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";
import css from "./Settings.module.css";

const kNoSettings: GatewaySettings = { defaultRoute: "", refusePlainModels: false, collectLogPayload: false, skipLog: false };

export default function SettingsPage({ gateway }: PageProps) {
  const data = useApi(["gateways"], (signal) => api.list(signal), { pollMs: 30_000 });
  const [create, setCreate] = useQueryState("create");
  const whyNot = useWhyNot("admin");
  return (
    <Page
      title="Settings"
      lead={`Of the gateway ${gateway}: a namespace of routes, providers, keys and prices.`}
      actions={
        <Button icon={<Plus />} disabled={whyNot !== undefined} title={whyNot} onClick={() => setCreate("1")}>
          New gateway
        </Button>
      }
    >
      <RoleNote needed="admin" what="Changing settings or creating a gateway" />
      <WithData data={data} what="the gateways" loading={<Card label="Settings"><Loading rows={5} /></Card>}>
        {({ gateways }) => {
          const current = gateways.find((candidate) => candidate.name === gateway);
          return (
            <>
              <Card title={gateway}>
                {current ? (
                  <SettingsForm key={JSON.stringify(current.settings)} gateway={current} whyNot={whyNot} />
                ) : (
                  <Empty title={`There is no gateway ${gateway}`}>It may have another name, or its address was mistyped.</Empty>
                )}
              </Card>
              <Card flush title="All gateways">
                <Table
                  caption="Gateways"
                  rows={gateways}
                  rowKey={(row) => row.name}
                  isSelected={(row) => row.name === gateway}
                  columns={[
                    { key: "name", head: "Name", grow: true, cell: (row) => <Link href={paths.settings(row.name)}>{row.name}</Link> },
                    { key: "default", head: "Default route", cell: (row) => row.settings?.defaultRoute || <span className="muted">none</span> },
                    { key: "plain", head: "Plain models", narrowHide: true, cell: (row) => (row.settings?.refusePlainModels ? <Badge>refused</Badge> : "allowed") },
                    { key: "bodies", head: "Bodies", narrowHide: true, cell: (row) => (row.settings?.collectLogPayload ? <Badge tone="warn">kept</Badge> : "not kept") },
                    { key: "created", head: "Created", align: "right", cell: (row) => <Ago time={row.createTime} /> },
                  ]}
                />
              </Card>
            </>
          );
        }}
      </WithData>
      {create === "1" && whyNot === undefined && <CreateDialog onClose={() => setCreate("")} />}
    </Page>
  );
}

function SettingsForm({ gateway, whyNot }: { gateway: Gateway; whyNot?: string }) {
  const before = { ...kNoSettings, ...gateway.settings };
  const [settings, setSettings] = useState<GatewaySettings>(before);
  const [error, setError] = useState("");
  const routes = useRouteChoices(gateway.name);
  const refresh = useRefresh();
  const toast = useToast();
  const set = (changes: Partial<GatewaySettings>) => setSettings((old) => ({ ...old, ...changes }));
  const changed = JSON.stringify(settings) !== JSON.stringify(before);
  const locked = whyNot !== undefined;
  const save = useAction(
    async () => {
      setError("");
      await api.update(gateway.name, settings);
      await refresh(["gateways"]);
      toast.say(`The settings of ${gateway.name} are saved; the proxies have them.`);
    },
    (failure) => {
      setError(messageOf(failure));
      return true;
    },
  );
  const known = settings.defaultRoute === "" || routes.some((route) => route.value === settings.defaultRoute);
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (changed && !locked) void save.start();
      }}
    >
      {error && (
        <Notice tone="bad" live>
          {error}
        </Notice>
      )}
      <div className={css.route}>
        <Field label="Default route" hint="Its limits and conditions also hold for calls that name a plain provider/model. It must be deployed.">
          <Select
            disabled={locked}
            value={settings.defaultRoute}
            choices={[{ value: "", label: "none: plain calls go straight to their model" }, ...(known ? [] : [{ value: settings.defaultRoute, label: settings.defaultRoute }]), ...routes]}
            onPick={(defaultRoute) => set({ defaultRoute })}
          />
        </Field>
      </div>
      <Checkbox
        disabled={locked}
        label="Refuse plain models"
        hint="Only dynamic/<route> may be called."
        checked={settings.refusePlainModels}
        onChange={(event) => set({ refusePlainModels: event.target.checked })}
      />
      <Checkbox
        disabled={locked}
        label="Keep bodies with the log"
        hint="What was asked and answered can then be read on a request's page, by everyone who may read. A request may say otherwise."
        checked={settings.collectLogPayload}
        onChange={(event) => set({ collectLogPayload: event.target.checked })}
      />
      <Checkbox
        disabled={locked}
        label="Keep no log"
        hint="Requests count in sums and are not listed. A request may say otherwise."
        checked={settings.skipLog}
        onChange={(event) => set({ skipLog: event.target.checked })}
      />
      <div className={css.actions}>
        <Button type="submit" kind="primary" busy={save.busy} disabled={locked || !changed} title={whyNot}>
          Save
        </Button>
        {changed && (
          <Button kind="quiet" onClick={() => setSettings(before)}>
            Undo
          </Button>
        )}
      </div>
    </form>
  );
}

function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const session = useSession();
  const refresh = useRefresh();
  const [, go] = useLocation();
  const create = async () => {
    const made = await api.create(name.trim());
    await Promise.all([refresh(["gateways"]), session.refresh()]);
    go(paths.settings(made.name));
  };
  return (
    <FormDialog title="New gateway" action="Create" ready={name.trim() !== ""} run={create} onClose={onClose}>
      <Field label="Name" hint="It begins with nothing: no routes, providers or keys.">
        <TextInput autoFocus value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
