// One user: who she is, what the route decides for her, step by step, and what a live run brought.
import { Play, Square } from "lucide-react";
import { useImperativeHandle, useMemo, useState, type Ref } from "react";
import type { Route, SimulateAssumptions, SimulateRequest, SimulateResponse } from "@/api/types";
import { FlowCanvas } from "@/graph/canvas/FlowCanvas";
import { textOf, type RouteDocument } from "@/graph/document";
import { findById } from "@/graph/model";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Field, TextArea, TextInput } from "@/ui/Field";
import { Notice } from "@/ui/States";
import { Segments } from "@/ui/Tabs";
import { messageOf } from "@/ui/Toast";
import { LiveAnswer } from "./LiveAnswer";
import css from "./simulator.module.css";
import { StepList } from "./StepList";
import { useDryRun } from "./useDryRun";
import { useLiveRun, type LiveRun } from "./useLiveRun";
import { bodyOf, metadataOf, type SimulatedUser } from "./users";
import { dryWalk, liveWalk, marksOf } from "./walk";

export interface UserColumnHandle {
  runLive: () => void;
}

export function UserColumn({
  gateway,
  route,
  doc,
  source,
  assumptions,
  user,
  whyNotLive,
  onChange,
  ref,
}: {
  gateway: string;
  route: Route;
  doc: RouteDocument;
  source: Pick<SimulateRequest, "json" | "version">;
  assumptions: SimulateAssumptions;
  user: SimulatedUser;
  whyNotLive?: string;
  onChange: (user: SimulatedUser) => void;
  ref?: Ref<UserColumnHandle>;
}) {
  const metadata = metadataOf(user);
  const model = `dynamic/${route.name}`;
  const body = bodyOf(user, model);
  const dry = useDryRun(
    gateway,
    route.id,
    metadata && { ...source, assumptions, request: { metadataJson: JSON.stringify(metadata), bodyJson: JSON.stringify(body) } },
  );
  const live = useLiveRun(gateway);
  // The graph shows what was asked for last: a live run once its way is known, the dry run as soon as anything changed.
  const asked = JSON.stringify([user.metadata, user.prompt, assumptions]);
  const [liveOf, setLiveOf] = useState("");
  const runLive = () => {
    if (!metadata || whyNotLive !== undefined) return;
    setLiveOf(asked);
    void live.start(body, metadata);
  };
  useImperativeHandle(ref, () => ({ runLive }));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { path, record, status, error } = live.run;
  const done = useMemo(() => liveWalk({ path, record, status, error }, doc.graph, textOf(doc)), [path, record, status, error, doc]);
  const shown = done && liveOf === asked ? "live" : "dry";
  const walk = useMemo(() => (shown === "live" ? done : dry.answer ? dryWalk(dry.answer) : null), [shown, done, dry.answer]);
  const marks = useMemo(() => marksOf(doc.graph, walk), [doc.graph, walk]);
  const select = (id: string) => {
    const key = findById(doc.graph, id)?.key;
    setSelected(new Set(key === undefined ? [] : [key]));
  };
  return (
    <section className={css.column} aria-label={user.name}>
      <div className={css.who}>
        <Field label="Name" hideLabel>
          <TextInput className={css.name} value={user.name} onChange={(event) => onChange({ ...user, name: event.target.value })} />
        </Field>
        <div className={css.inputs}>
          <Field label="Metadata" error={metadata === null ? "This is no JSON object." : undefined}>
            <TextArea mono rows={4} value={user.metadata} onChange={(event) => onChange({ ...user, metadata: event.target.value })} />
          </Field>
          <Field label="Prompt">
            <TextArea rows={4} value={user.prompt} onChange={(event) => onChange({ ...user, prompt: event.target.value })} />
          </Field>
        </div>
      </div>
      <div className={css.verdict}>
        <div className={css.decision} role="status">
          {shown === "live" ? (
            <LiveVerdict run={live.run} />
          ) : dry.error ? (
            <Notice tone="bad">{messageOf(dry.error)}</Notice>
          ) : dry.answer ? (
            <Verdict answer={dry.answer} />
          ) : (
            <span className="muted">{metadata === null ? "Mend the metadata to see the path." : "Walking the route …"}</span>
          )}
        </div>
        {done && (
          <Segments
            label={`Path of ${user.name}`}
            value={shown}
            onPick={(view) => setLiveOf(view === "live" ? asked : "")}
            choices={[
              { value: "dry", label: "Dry run" },
              { value: "live", label: "Live run" },
            ]}
          />
        )}
      </div>
      <div className={css.canvas}>
        <FlowCanvas
          label={`The path of ${user.name}`}
          graph={doc.graph}
          positions={doc.positions}
          marks={marks.elements}
          edgeMarks={marks.edges}
          selected={selected}
          onSelect={setSelected}
        />
      </div>
      {walk && <StepList walk={walk} onPick={select} />}
      <div className={css.live}>
        <div className={css.liveHead}>
          <h2>Live run</h2>
          {live.run.state === "running" ? (
            <Button small icon={<Square />} onClick={live.stop}>
              Stop
            </Button>
          ) : (
            <Button small icon={<Play />} disabled={metadata === null || whyNotLive !== undefined} title={whyNotLive} onClick={runLive}>
              Run live<span className="visually-hidden"> as {user.name}</span>
            </Button>
          )}
        </div>
        <LiveAnswer gateway={gateway} run={live.run} />
      </div>
    </section>
  );
}

function LiveVerdict({ run }: { run: LiveRun }) {
  return (
    <>
      {run.status && <Badge tone={run.status < 400 && !run.error ? "ok" : "bad"}>{run.status}</Badge>}
      <strong>{run.error ? run.error.code : run.model ? `${run.provider ?? ""}/${run.model}` : ""}</strong>
    </>
  );
}

function Verdict({ answer }: { answer: SimulateResponse }) {
  const good = answer.status < 400;
  return (
    <>
      <Badge tone={good ? "ok" : "bad"}>{answer.status}</Badge>
      {good ? (
        <strong>
          {answer.provider}/{answer.model}
        </strong>
      ) : (
        <>
          <strong>{answer.errorCode}</strong>
          <span className={css.message}>{answer.message}</span>
        </>
      )}
    </>
  );
}
