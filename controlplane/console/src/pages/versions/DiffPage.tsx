// Two versions next to each other: what was added, removed and changed is marked on both graphs and listed below.
import { useMemo, useState } from "react";
import { routes as api } from "@/api/api";
import { allPages } from "@/api/pages";
import type { ElementChange, Route, Version } from "@/api/types";
import { useApi } from "@/api/useApi";
import type { PageProps } from "@/app/pages";
import { useQueryState } from "@/app/useQueryState";
import { FlowCanvas } from "@/graph/canvas/FlowCanvas";
import { openDocument } from "@/graph/document";
import { findById } from "@/graph/model";
import { Badge, type BadgeTone } from "@/ui/Badge";
import { Field, Select } from "@/ui/Field";
import { Empty, WithData } from "@/ui/States";
import { RouteHeader } from "../route/RouteHeader";
import { routeKey, useRoute, useVersion } from "../route/useRoute";
import { groupChanges, marksOf, type ChangedElement } from "./diffMarks";
import css from "./versions.module.css";

export default function DiffPage({ gateway, params }: PageProps) {
  const data = useRoute(gateway, params.route ?? "");
  return <WithData data={data} what="the route">{(route) => <Diff gateway={gateway} route={route} />}</WithData>;
}

function Diff({ gateway, route }: { gateway: string; route: Route }) {
  const [a, setA] = useQueryState("a", route.deployedVersion !== "0" ? route.deployedVersion : "1");
  const [b, setB] = useQueryState("b", route.latestVersion);
  const [element, setElement] = useQueryState("element");
  const versions = useApi([...routeKey(gateway, route.name), route.latestVersion, route.deployedVersion, "versions"], (signal) =>
    allPages((pageToken) => api.versions(gateway, route.id, { pageSize: 200, pageToken }, signal), (answer) => answer.versions),
  );
  const diff = useApi([...routeKey(gateway, route.name), "diff", a, b], (signal) => api.diff(gateway, route.id, a, b, signal));
  const before = useVersion(gateway, route.name, a);
  const after = useVersion(gateway, route.name, b);
  const choices = (versions.data ?? []).map((version) => ({
    value: version.number,
    label: `v${version.number}${version.number === route.deployedVersion ? ", serves" : ""}${version.comment ? `: ${version.comment.slice(0, 40)}` : ""}`,
  }));
  const changes = diff.data?.changes ?? [];
  return (
    <div className={css.frame}>
      <RouteHeader gateway={gateway} route={route} tab="versions" />
      <div className={css.diffBar}>
        <div>
          <Field label="From" hideLabel>
            <Select value={a} choices={withValue(choices, a)} onPick={setA} />
          </Field>
          <span aria-hidden="true">→</span>
          <Field label="To" hideLabel>
            <Select value={b} choices={withValue(choices, b)} onPick={setB} />
          </Field>
        </div>
        <Summary changes={changes} />
      </div>
      <div className={css.sides}>
        <WithData data={before} what="the version">{(version) => <Side version={version} side="before" changes={changes} reveal={element} />}</WithData>
        <WithData data={after} what="the version">{(version) => <Side version={version} side="after" changes={changes} reveal={element} />}</WithData>
      </div>
      <section className={css.changes} aria-label="Changes" tabIndex={0}>
        <WithData data={diff} what="the differences">
          {({ changes: list }) =>
            list.length === 0 ? (
              <Empty title="No difference">The two versions are the same graph.</Empty>
            ) : (
              groupChanges(list).map((group) => <Change key={group.elementId} group={group} onPick={() => setElement(group.elementId)} />)
            )
          }
        </WithData>
      </section>
    </div>
  );
}

const withValue = (choices: { value: string; label: string }[], value: string) =>
  choices.some((choice) => choice.value === value) ? choices : [...choices, { value, label: `v${value}` }];

function Side({ version, side, changes, reveal }: { version: Version; side: "before" | "after"; changes: ElementChange[]; reveal: string }) {
  const doc = useMemo(() => openDocument(version.json, version.positionsJson), [version]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { elements, edges } = useMemo(() => marksOf(doc.graph, changes, side), [doc.graph, changes, side]);
  return (
    <div className={css.side}>
      <h2 className={css.sideHead}>
        <strong>v{version.number}</strong>
        <span>{[version.author, version.comment].filter(Boolean).join(": ")}</span>
      </h2>
      <div className={css.canvas}>
        <FlowCanvas
          label={`Version ${version.number}`}
          graph={doc.graph}
          positions={doc.positions}
          marks={elements}
          edgeMarks={edges}
          selected={selected}
          onSelect={setSelected}
          fitKey={version.number}
          reveal={findById(doc.graph, reveal)?.key ?? null}
        />
      </div>
    </div>
  );
}

const kTones: Record<ChangedElement["kind"], BadgeTone> = { added: "ok", removed: "bad", changed: "warn" };

function Summary({ changes }: { changes: ElementChange[] }) {
  const groups = groupChanges(changes);
  return (
    <span className={css.summary} role="status">
      {(["added", "removed", "changed"] as const).map((kind) => {
        const count = groups.filter((group) => group.kind === kind).length;
        return count > 0 ? (
          <Badge key={kind} tone={kTones[kind]}>
            {count} {kind}
          </Badge>
        ) : null;
      })}
    </span>
  );
}

function Change({ group, onPick }: { group: ChangedElement; onPick: () => void }) {
  return (
    <div className={css.change}>
      <span>
        <Badge tone={kTones[group.kind]}>{group.kind}</Badge>
      </span>
      <button type="button" className={css.element} onClick={onPick}>
        {group.elementId || "the route"}
      </button>
      <ul className={css.properties}>
        {group.parts.map((part, index) => (
          <li key={index}>
            {part.path && <code>{part.path}</code>} {part.before && <code className={css.before}>{part.before}</code>} {part.after && <code className={css.after}>{part.after}</code>}
          </li>
        ))}
      </ul>
    </div>
  );
}
