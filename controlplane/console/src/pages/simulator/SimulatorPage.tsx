// A route decides for two users side by side: dry, on the graph, or live through a proxy.
import { Play } from "lucide-react";
import { useMemo, useRef, useState, type ReactNode } from "react";
import { routes as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { Route } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useMay } from "@/app/session";
import { useQueryState } from "@/app/useQueryState";
import { openDocument, textOf, type RouteDocument } from "@/graph/document";
import { idOf, typeOf, type Graph } from "@/graph/model";
import { Button } from "@/ui/Button";
import { Checkbox, Field, Select } from "@/ui/Field";
import { WithData } from "@/ui/States";
import { keptDocument } from "../builder/useRouteDocument";
import { RouteHeader } from "../route/RouteHeader";
import { routeKey, useRoute, useVersion } from "../route/useRoute";
import css from "./simulator.module.css";
import { UserColumn, type UserColumnHandle } from "./UserColumn";
import { loadUsers, storeUsers, type SimulatedUser } from "./users";

const kUnsaved = "unsaved";

export default function SimulatorPage({ gateway, params }: PageProps) {
  const data = useRoute(gateway, params.route ?? "");
  return <WithData data={data} what="the route">{(route) => <Simulator gateway={gateway} route={route} />}</WithData>;
}

function Simulator({ gateway, route }: { gateway: string; route: Route }) {
  const unsaved = keptDocument(route.id);
  const [wanted, setWanted] = useQueryState("version", route.deployedVersion !== "0" ? route.deployedVersion : route.latestVersion);
  const number = wanted === kUnsaved ? route.latestVersion : wanted;
  const version = useVersion(gateway, route.name, number);
  const versions = useApi([...routeKey(gateway, route.name), route.latestVersion, route.deployedVersion, "versions"], (signal) =>
    allPages((pageToken) => api.versions(gateway, route.id, { pageSize: 200, pageToken }, signal), (answer) => answer.versions),
  );
  const choices = [
    ...(unsaved ? [{ value: kUnsaved, label: "unsaved changes" }] : []),
    ...(versions.data ?? [{ number, comment: "" }]).map((one) => ({
      value: one.number,
      label: `v${one.number}${one.number === route.deployedVersion ? ", serves" : ""}${one.comment ? `: ${one.comment.slice(0, 40)}` : ""}`,
    })),
  ];
  return (
    <WithData data={version} what="the version">
      {(opened) => (
        <Workbench
          key={`${wanted}/${opened.number}`}
          gateway={gateway}
          route={route}
          doc={wanted === kUnsaved && unsaved ? unsaved : openDocument(opened.json, opened.positionsJson)}
          version={wanted === kUnsaved && unsaved ? null : opened.number}
          picker={
            <Field label="Version" hideLabel>
              <Select value={wanted} choices={choices} onPick={setWanted} />
            </Field>
          }
        />
      )}
    </WithData>
  );
}

function Workbench({
  gateway,
  route,
  doc: given,
  version,
  picker,
}: {
  gateway: string;
  route: Route;
  doc: RouteDocument;
  version: string | null; // null: unsaved changes
  picker: ReactNode;
}) {
  // The caller makes a new document with every poll; the graph is drawn from the first one of this version.
  const doc = useRef(given).current;
  const [users, setUsers] = useState(loadUsers);
  const [same, setSame] = useState(true);
  const [denied, setDenied] = useState<readonly string[]>([]);
  const [failed, setFailed] = useState<readonly string[]>([]);
  const columns = useRef<(UserColumnHandle | null)[]>([]);
  const mayRun = useMay("editor");
  const live = route.deployedVersion !== "0";
  const source = useMemo(() => (version === null ? { json: textOf(doc) } : { version }), [doc, version]);

  const change = (index: number, user: SimulatedUser) => {
    const next = users.map((old, at) => (at === index ? user : same ? { ...old, prompt: user.prompt } : old));
    setUsers(next);
    storeUsers(next);
  };
  const why = !mayRun ? "A live run needs the role editor" : !live ? "Deploy a version first" : undefined;
  return (
    <div className={css.frame}>
      <RouteHeader
        gateway={gateway}
        route={route}
        tab="simulator"
        actions={
          <>
            {picker}
            <Button kind="primary" icon={<Play />} disabled={why !== undefined} title={why} onClick={() => columns.current.forEach((column) => column?.runLive())}>
              Run both live
            </Button>
          </>
        }
      />
      <div className={css.page}>
        <div className={css.bar}>
          <Checkbox label="The same prompt for both" checked={same} onChange={(event) => setSame(event.target.checked)} />
          <Assumptions graph={doc.graph} type="rate" label="Over the limit" chosen={denied} onChange={setDenied} />
          <Assumptions graph={doc.graph} type="model" label="Failed" chosen={failed} onChange={setFailed} />
          <p className="muted small">The path is a dry run: it charges nothing. A live run goes through a proxy to what serves.</p>
        </div>
        <div className={css.columns}>
          {users.map((user, index) => (
            <UserColumn
              key={index}
              ref={(handle) => {
                columns.current[index] = handle;
              }}
              gateway={gateway}
              route={route}
              doc={doc}
              source={source}
              assumptions={{ deniedElements: [...denied], failedElements: [...failed] }}
              user={user}
              whyNotLive={why}
              onChange={(next) => change(index, next)}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

// What the dry run takes for granted: these limits are full, these models do not answer.
function Assumptions({
  graph,
  type,
  label,
  chosen,
  onChange,
}: {
  graph: Graph;
  type: string;
  label: string;
  chosen: readonly string[];
  onChange: (ids: readonly string[]) => void;
}) {
  const ids = graph.elements.filter((element) => typeOf(element) === type).map(idOf);
  if (ids.length === 0) return null;
  return (
    <details className={css.assume}>
      <summary>
        {label}: {chosen.length === 0 ? "none" : chosen.join(", ")}
      </summary>
      <div className={css.assumeList}>
        {ids.map((id) => (
          <Checkbox
            key={id}
            label={id}
            checked={chosen.includes(id)}
            onChange={(event) => onChange(event.target.checked ? [...chosen, id] : chosen.filter((one) => one !== id))}
          />
        ))}
      </div>
    </details>
  );
}
