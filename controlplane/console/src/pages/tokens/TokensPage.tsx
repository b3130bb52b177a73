// Who may call the control plane, and with what role.
import { Plus, ShieldCheck } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { admin as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { CreateTokenResponse, Token, TokenRole } from "@/api/types";
import { useApi, useRefresh } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useQueryState } from "@/app/useQueryState";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { useConfirm } from "@/ui/Confirm";
import { Field, Select, TextInput } from "@/ui/Field";
import { FormDialog, SecretDialog } from "@/ui/FormDialog";
import { Card, Page } from "@/ui/Page";
import { RoleNote, useWhyNot } from "@/ui/RoleNote";
import { Empty, Loading, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { useToast } from "@/ui/Toast";
import { useAction } from "@/ui/useAction";

const kRoles: { value: TokenRole; label: string; about: string }[] = [
  { value: "viewer", label: "Viewer", about: "Reads everything but secrets, which nobody can read." },
  { value: "editor", label: "Editor", about: "Also draws routes, saves versions, and runs requests live." },
  { value: "deployer", label: "Deployer", about: "Also deploys, rolls back and deletes routes." },
  { value: "admin", label: "Admin", about: "Also providers, keys, prices, tokens, settings, counters and backups." },
  { value: "proxy", label: "Proxy", about: "For proxies: gets snapshots, reports spend. It cannot sign in here." },
];

export default function TokensPage({ gateway }: PageProps) {
  const data = useApi(
    ["tokens"],
    (signal) => allPages((pageToken) => api.tokens({ pageSize: 500, pageToken }, signal), (answer) => answer.tokens),
    { pollMs: 15_000 },
  );
  const [create, setCreate] = useQueryState("create");
  const whyNot = useWhyNot("admin");
  const columns: Column<Token>[] = [
    { key: "name", head: "Name", grow: true, cell: (token) => <strong style={{ fontWeight: 500 }}>{token.displayName || "unnamed"}</strong> },
    { key: "role", head: "Role", cell: (token) => <Badge tone={token.role === "admin" ? "accent" : "neutral"}>{token.role}</Badge> },
    { key: "id", head: "Id", narrowHide: true, cell: (token) => <code className="muted">{token.id}</code> },
    { key: "created", head: "Created", cell: (token) => <Ago time={token.createTime} /> },
    { key: "audit", head: "Changes", narrowHide: true, cell: (token) => <Link href={`${paths.audit(gateway)}?who=${encodeURIComponent(token.id)}`} aria-label={`Audit: what ${token.displayName || token.id} changed`}>Audit</Link> },
    {
      key: "actions",
      head: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (token) => (token.revokeTime ? <span className="muted small">revoked <Ago time={token.revokeTime} /></span> : <Revoke token={token} whyNot={whyNot} />),
    },
  ];
  return (
    <Page
      title="Tokens"
      lead="The same tokens guard this console, gRPC and JSON."
      actions={
        <Button kind="primary" icon={<Plus />} disabled={whyNot !== undefined} title={whyNot} onClick={() => setCreate("1")}>
          Create a token
        </Button>
      }
    >
      <RoleNote needed="admin" what="Creating or revoking a token" />
      <Card flush label="Tokens">
        <WithData data={data} what="the tokens" loading={<Loading rows={4} />}>
          {(all) =>
            all.length === 0 ? <Empty icon={<ShieldCheck />} title="No token" /> : <Table caption="Tokens" columns={columns} rows={all} rowKey={(token) => token.id} />
          }
        </WithData>
      </Card>
      {create === "1" && whyNot === undefined && <CreateDialog onClose={() => setCreate("")} />}
    </Page>
  );
}

function Revoke({ token, whyNot }: { token: Token; whyNot?: string }) {
  const confirm = useConfirm();
  const refresh = useRefresh();
  const toast = useToast();
  const name = token.displayName || token.id;
  const revoke = useAction(async () => {
    const yes = await confirm({
      title: `Revoke ${name}?`,
      body:
        token.role === "proxy"
          ? "Proxies that call with it can no longer report, nor get new versions. It cannot be undone."
          : "Its calls are refused and its sessions end at once. It cannot be undone.",
      action: "Revoke",
      danger: true,
    });
    if (!yes) return;
    await api.revokeToken(token.id);
    await refresh(["tokens"]);
    toast.say(`${name} is revoked.`);
  });
  return (
    <Button small kind="quiet" busy={revoke.busy} disabled={whyNot !== undefined} title={whyNot} aria-label={`Revoke ${name}`} onClick={() => void revoke.start()}>
      Revoke
    </Button>
  );
}

function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<TokenRole>("viewer");
  const [made, setMade] = useState<CreateTokenResponse | null>(null);
  const refresh = useRefresh();
  const create = async () => {
    setMade(await api.createToken(role, name.trim()));
    await refresh(["tokens"]);
  };
  if (made !== null) {
    return <SecretDialog title={`A token for ${made.token.displayName}`} label="The token" secret={made.secret} note={`Its role is ${made.token.role}.`} onClose={onClose} />;
  }
  return (
    <FormDialog title="Create a token" action="Create" ready={name.trim() !== ""} run={create} onClose={onClose}>
      <Field label="Name" hint="A person or a machine; the audit log tells them by it.">
        <TextInput autoFocus maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Role" hint={kRoles.find(({ value }) => value === role)?.about}>
        <Select value={role} choices={kRoles} onPick={setRole} />
      </Field>
    </FormDialog>
  );
}
