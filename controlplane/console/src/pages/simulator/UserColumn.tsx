// One user: who she is, what the route decides for her, step by step, and what a live run brought.
import { Play, Square } from "lucide-react";
import { useImperativeHandle, useMemo, useState, type Ref } from "react";
import type { Route, SimulateAssumptions, SimulateRequest, SimulateResponse } from "@/api/types";
import { edgeId, type EdgeMark, type ElementMark } from "@/graph/canvas/marks";
import { FlowCanvas } from "@/graph/canvas/FlowCanvas";
import type { RouteDocument } from "@/graph/document";
import { edgesOf, findById, type Graph } from "@/graph/model";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Field, TextArea, TextInput } from "@/ui/Field";
import { Notice } from "@/ui/States";
import { messageOf } from "@/ui/Toast";
import { LiveAnswer } from "./LiveAnswer";
import css from "./simulator.module.css";
import { StepList } from "./StepList";
import { useDryRun } from "./useDryRun";
import { useLiveRun } from "./useLiveRun";
import { bodyOf, metadataOf, type SimulatedUser } from "./users";

export interface UserColumnHandle {
  runLive: () => void;
}

// The walk as marks: the elements passed, numbered and with their reasons, and the edges taken; all else steps back.
function marksOf(graph: Graph, answer: SimulateResponse | undefined) {
  const elements = new Map<string, ElementMark>();
  const edges = new Map<string, EdgeMark>();
  if (!answer) return { elements, edges };
  for (const element of graph.elements) elements.set(element.key, { dim: true });
  for (const edge of edgesOf(graph)) edges.set(edgeId(edge.from, edge.output), "dim");
  answer.steps.forEach((step, index) => {
    const key = findById(graph, step.elementId)?.key;
    if (key === undefined) return;
    const last = index === answer.steps.length - 1;
    elements.set(key, { step: index + 1, reason: step.reason, tone: last && answer.status >= 400 ? "bad" : "ok" });
    if (step.output !== "") edges.set(edgeId(key, step.output), "lit");
  });
  return { elements, edges };
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
  const runLive = () => {
    if (metadata && whyNotLive === undefined) void live.start(body, metadata);
  };
  useImperativeHandle(ref, () => ({ runLive }));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const marks = useMemo(() => marksOf(doc.graph, dry.answer), [doc.graph, dry.answer]);
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
      <div className={css.verdict} role="status">
        {dry.error ? (
          <Notice tone="bad">{messageOf(dry.error)}</Notice>
        ) : dry.answer ? (
          <Verdict answer={dry.answer} />
        ) : (
          <span className="muted">{metadata === null ? "Mend the metadata to see the path." : "Walking the route …"}</span>
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
      {dry.answer && <StepList answer={dry.answer} onPick={select} />}
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
