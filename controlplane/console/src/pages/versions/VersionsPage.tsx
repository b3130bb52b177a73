// A route's versions and deployments: which serves, who made it, and ways to compare, deploy and roll back.
import { GitCompareArrows, Rocket, SquarePen, Undo2 } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { routes as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { Deployment, Route, Version } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { paths } from "@/app/paths";
import { useMay } from "@/app/session";
import { Badge } from "@/ui/Badge";
import { Button, ButtonLink } from "@/ui/Button";
import { plural } from "@/ui/format";
import { Card } from "@/ui/Page";
import { Empty, WithData } from "@/ui/States";
import { Table, type Column } from "@/ui/Table";
import { Ago } from "@/ui/Time";
import { DeployDialog } from "../route/DeployDialog";
import { RouteHeader } from "../route/RouteHeader";
import { routeKey, useRoute } from "../route/useRoute";
import css from "./versions.module.css";

export default function VersionsPage({ gateway, params }: PageProps) {
  const data = useRoute(gateway, params.route ?? "");
  return <WithData data={data} what="the route">{(route) => <Versions gateway={gateway} route={route} />}</WithData>;
}

type Opened = { version: string; rollback: boolean } | null;

function Versions({ gateway, route }: { gateway: string; route: Route }) {
  const [, navigate] = useLocation();
  const [open, setOpen] = useState<Opened>(null);
  const [picked, setPicked] = useState<readonly string[]>([]);
  const mayDeploy = useMay("deployer");
  // Both change with the route: a new version or deployment changes the key.
  const key = [...routeKey(gateway, route.name), route.latestVersion, route.deployedVersion];
  const versions = useApi(
    [...key, "versions"],
    (signal) => allPages((pageToken) => api.versions(gateway, route.id, { pageSize: 200, pageToken }, signal), (answer) => answer.versions),
    { keepPrevious: true },
  );
  const deployments = useApi([...key, "deployments"], (signal) => api.deployments(gateway, route.id, { pageSize: 50 }, signal), { keepPrevious: true });
  const previous = deployments.data?.deployments[0]?.previousVersion ?? "0";
  const pair = [...picked].sort((a, b) => Number(a) - Number(b));

  return (
    <div className={css.frame}>
      <RouteHeader
        gateway={gateway}
        route={route}
        tab="versions"
        actions={
          <>
            <Button
              icon={<GitCompareArrows />}
              disabled={pair.length !== 2}
              title={pair.length === 2 ? undefined : "Tick two versions to compare them"}
              onClick={() => navigate(paths.diff(gateway, route.name, pair[0]!, pair[1]!))}
            >
              Compare
            </Button>
            {previous !== "0" && previous !== route.deployedVersion && (
              <Button icon={<Undo2 />} disabled={!mayDeploy} title={mayDeploy ? undefined : "Rolling back needs the role deployer"} onClick={() => setOpen({ version: previous, rollback: true })}>
                Roll back to v{previous}
              </Button>
            )}
          </>
        }
      />
      <div className={css.page}>
        <Card title="Versions" flush>
          <WithData data={versions} what="the versions">
            {(list) => (
              <Table
                caption="Versions"
                rows={list}
                rowKey={(version) => version.number}
                isSelected={(version) => picked.includes(version.number)}
                columns={versionColumns({
                  gateway,
                  route,
                  picked,
                  mayDeploy,
                  onPick: (number) => setPicked((before) => (before.includes(number) ? before.filter((one) => one !== number) : [...before.slice(-1), number])),
                  onDeploy: (version) => setOpen({ version, rollback: route.deployedVersion !== "0" && Number(version) < Number(route.deployedVersion) }),
                })}
              />
            )}
          </WithData>
        </Card>
        <Card title="Deployments" flush>
          <WithData data={deployments} what="the deployments">
            {({ deployments: list }) => (list.length === 0 ? <NothingDeployed /> : <Table caption="Deployments" rows={list} rowKey={(row) => row.id} columns={kDeploymentColumns} />)}
          </WithData>
        </Card>
      </div>
      {open && <DeployDialog gateway={gateway} route={route} version={open.version} rollback={open.rollback} onClose={() => setOpen(null)} />}
    </div>
  );
}

function NothingDeployed() {
  return (
    <Empty icon={<Rocket />} title="Nothing is deployed yet">
      Deploy a version, and clients can call the route.
    </Empty>
  );
}

function versionColumns({
  gateway,
  route,
  picked,
  mayDeploy,
  onPick,
  onDeploy,
}: {
  gateway: string;
  route: Route;
  picked: readonly string[];
  mayDeploy: boolean;
  onPick: (number: string) => void;
  onDeploy: (number: string) => void;
}): Column<Version>[] {
  const live = route.deployedVersion;
  return [
    {
      key: "pick",
      head: <span className="visually-hidden">Compare</span>,
      cell: (version) => (
        <input type="checkbox" className={css.pick} aria-label={`Compare version ${version.number}`} checked={picked.includes(version.number)} onChange={() => onPick(version.number)} />
      ),
    },
    {
      key: "number",
      head: "Version",
      cell: (version) => (
        <span className={css.number}>
          <strong className="num">v{version.number}</strong>
          {version.number === live && (
            <Badge tone="ok" dot>
              serves
            </Badge>
          )}
          {!version.compiles && (
            <Badge tone="warn" title={version.faults.map((fault) => fault.message).join("\n")}>
              draft, {plural(version.faults.length, "fault")}
            </Badge>
          )}
        </span>
      ),
    },
    { key: "comment", head: "Comment", grow: true, cell: (version) => version.comment || <span className="muted">no comment</span> },
    { key: "author", head: "By", narrowHide: true, cell: (version) => version.author },
    { key: "time", head: "Saved", narrowHide: true, cell: (version) => <Ago time={version.createTime} /> },
    {
      key: "actions",
      head: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (version) => (
        <span className={css.actions}>
          {live !== "0" && version.number !== live && (
            <ButtonLink small kind="quiet" icon={<GitCompareArrows />} href={paths.diff(gateway, route.name, live, version.number)}>
              Compare<span className="visually-hidden"> version {version.number} with what serves</span>
            </ButtonLink>
          )}
          <ButtonLink small kind="quiet" icon={<SquarePen />} href={paths.version(gateway, route.name, version.number)}>
            Open<span className="visually-hidden"> version {version.number}</span>
          </ButtonLink>
          <Button
            small
            icon={Number(version.number) < Number(live) ? <Undo2 /> : <Rocket />}
            disabled={!mayDeploy || !version.compiles || version.number === live}
            title={!version.compiles ? "A draft cannot be deployed" : mayDeploy ? undefined : "Deploying needs the role deployer"}
            onClick={() => onDeploy(version.number)}
          >
            {Number(version.number) < Number(live) ? "Roll back" : "Deploy"}
            <span className="visually-hidden"> version {version.number}</span>
          </Button>
        </span>
      ),
    },
  ];
}

const kDeploymentColumns: Column<Deployment>[] = [
  {
    key: "what",
    head: "What",
    cell: (row) => (
      <span className={css.number}>
        <strong className="num">v{row.version}</strong>
        {row.rollback ? <Badge tone="warn">rollback</Badge> : row.previousVersion === "0" ? <Badge>first</Badge> : null}
        {row.previousVersion !== "0" && <span className="muted">was v{row.previousVersion}</span>}
      </span>
    ),
  },
  { key: "comment", head: "Comment", grow: true, cell: (row) => row.comment || <span className="muted">no comment</span> },
  { key: "author", head: "By", cell: (row) => row.author },
  { key: "time", head: "When", cell: (row) => <Ago time={row.createTime} /> },
  { key: "snapshot", head: "Snapshot", align: "right", narrowHide: true, cell: (row) => row.snapshotSequence },
];
