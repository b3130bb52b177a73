// The flow builder: blocks to the left, the graph in the middle, the selected element, the JSON and the faults to the
// right. The document is useRouteDocument's; everything here reads it and asks for changes.
import { Download, LayoutDashboard, Keyboard, Redo2, Rocket, Save, Undo2, Upload } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Route, Version } from "@/api/types";
import { setLeaveGuard } from "@/app/leaveGuard";
import { paths } from "@/app/paths";
import { useMay } from "@/app/session";
import { useQueryState } from "@/app/useQueryState";
import { FlowCanvas } from "@/graph/canvas/FlowCanvas";
import { editGraph, editText } from "@/graph/document";
import { disconnect } from "@/graph/edit";
import { kTypes } from "@/graph/elements";
import { findById, findByKey, idOf, parseGraph, typeOf } from "@/graph/model";
import { Badge } from "@/ui/Badge";
import { Button, IconButton } from "@/ui/Button";
import { download } from "@/ui/download";
import { Menu } from "@/ui/Menu";
import { Notice } from "@/ui/States";
import { Segments } from "@/ui/Tabs";
import { useToast } from "@/ui/Toast";
import { DeployDialog } from "../route/DeployDialog";
import { RouteHeader } from "../route/RouteHeader";
import css from "./Builder.module.css";
import { ConflictDialog } from "./ConflictDialog";
import { FaultList, ValidationStatus } from "./FaultList";
import { Inspector } from "./Inspector";
import { JsonView } from "./JsonView";
import { kBlocks, Palette } from "./Palette";
import { SaveDialog } from "./SaveDialog";
import { ShortcutsDialog } from "./ShortcutsDialog";
import { useCanvasEdits } from "./useCanvasEdits";
import { useClipboard } from "./useClipboard";
import { useRouteDocument } from "./useRouteDocument";
import { useShortcuts } from "./useShortcuts";
import { elementOf, useFaultMarks, useValidation } from "./useValidation";

type Panel = "element" | "json" | "faults";
type Open = "save" | "deploy" | "shortcuts" | { conflict: string } | null;

export function Builder({ gateway, route, version, resume }: { gateway: string; route: Route; version: Version; resume: boolean }) {
  const editor = useRouteDocument(route, version, resume);
  const { doc, text, dirty, change } = editor;
  const readOnly = !useMay("editor");
  const mayDeploy = useMay("deployer");
  const toast = useToast();
  const validation = useValidation(gateway, text);
  const marks = useFaultMarks(doc.graph, validation.faults);

  const [selected, setSelected] = useSelection(doc.graph);
  const [edges, setEdges] = useState<ReadonlySet<string>>(new Set());
  const [panelText, setPanel] = useQueryState("panel", "element");
  const panel: Panel = panelText === "json" || panelText === "faults" ? panelText : "element";
  const [open, setOpen] = useState<Open>(null);
  const [fitKey, setFitKey] = useState(0);
  const [reveal, setReveal] = useState<string | null>(null);
  const file = useRef<HTMLInputElement>(null);

  const select = useCallback((keys: ReadonlySet<string>) => setSelected(keys), [setSelected]);
  const canvas = useCanvasEdits(editor, selected, select);
  const clipboard = useClipboard(editor, selected, select, !readOnly);
  const editable = !readOnly && doc.unreadable === undefined;

  const removeSelected = useCallback(() => {
    if (selected.size > 0) return clipboard.remove(selected);
    for (const id of edges) {
      const slash = id.indexOf("/");
      change((before) => editGraph(before, disconnect(before.graph, id.slice(0, slash), id.slice(slash + 1))));
    }
    setEdges(new Set());
  }, [change, clipboard, edges, selected]);

  useShortcuts({
    enabled: open === null,
    onUndo: editor.undo,
    onRedo: editor.redo,
    onDelete: editable ? removeSelected : undefined,
    onDuplicate: editable ? clipboard.duplicate : undefined,
    onSelectAll: () => select(new Set(doc.graph.elements.map((element) => element.key))),
    onSave: readOnly || !dirty ? undefined : () => setOpen("save"),
    onHelp: () => setOpen("shortcuts"),
    onEscape: () => select(new Set()),
  });
  useEffect(() => {
    if (!dirty) return setLeaveGuard(null);
    const home = paths.route(gateway, route.name);
    setLeaveGuard({
      stays: (path) => path === home || path.startsWith(`${home}/`),
      question: {
        title: "Leave with unsaved changes?",
        body: `The changes to ${route.name} are not saved. They stay in this tab until it is closed or reloaded.`,
        action: "Leave",
        cancel: "Stay",
      },
    });
    return () => setLeaveGuard(null);
  }, [dirty, gateway, route.name]);

  const importFile = async (picked: File | undefined) => {
    if (!picked) return;
    const content = await picked.text();
    const parsed = parseGraph(content);
    change((before) => editText({ ...before, positions: {} }, content));
    setFitKey((count) => count + 1);
    if (parsed.graph) toast.say(`${picked.name} is open. Save it to make it a version.`);
    else toast.fail(new Error(`${picked.name}: ${parsed.error}`));
  };
  const showFault = (key: string) => {
    select(new Set([key]));
    setPanel("element");
    setReveal(key);
    setTimeout(() => setReveal(null), 400);
  };

  const only = selected.size === 1 ? findByKey(doc.graph, [...selected][0]!) : undefined;
  const elementFaults = useMemo(
    () => (only ? validation.faults.filter((fault) => elementOf(doc.graph, fault)?.key === only.key) : []),
    [doc.graph, only, validation.faults],
  );
  const behind = BigInt(route.latestVersion) > BigInt(editor.saved.base);
  const hasStart = doc.graph.elements.some((element) => typeOf(element) === "start");

  return (
    <div className={css.builder}>
      <RouteHeader
        gateway={gateway}
        route={route}
        tab="flow"
        state={
          <>
            <Badge>v{editor.saved.version}</Badge>
            {dirty && <Badge tone="warn">unsaved changes</Badge>}
          </>
        }
        actions={
          <>
            <ValidationStatus validation={validation} onOpen={() => setPanel("faults")} />
            <Button icon={<Save />} disabled={readOnly || !dirty || doc.unreadable !== undefined} kind={dirty ? "primary" : "secondary"} onClick={() => setOpen("save")}>
              Save
            </Button>
            <Button
              icon={<Rocket />}
              kind={dirty || route.latestVersion === route.deployedVersion ? "secondary" : "primary"}
              disabled={!mayDeploy || dirty || validation.state === "faulty"}
              title={mayDeploy ? (dirty ? "Save first" : undefined) : "Deploying needs the role deployer"}
              onClick={() => setOpen("deploy")}
            >
              Deploy
            </Button>
          </>
        }
      />
      {behind && (
        <div className={css.strip}>
          <Notice tone="warn" live>
            Version {route.latestVersion} was saved meanwhile; this began with version {editor.saved.base}.
            <Button small onClick={() => setOpen({ conflict: "" })}>
              Choose what to do
            </Button>
          </Notice>
        </div>
      )}
      <div className={css.work}>
        {readOnly ? <div /> : <Palette hasStart={hasStart} onAdd={canvas.addFromPalette} />}
        <div className={css.stage}>
          <div className={css.toolbar} role="toolbar" aria-label="Graph">
            <IconButton small label="Undo" icon={<Undo2 />} disabled={!editor.canUndo} onClick={editor.undo} />
            <IconButton small label="Redo" icon={<Redo2 />} disabled={!editor.canRedo} onClick={editor.redo} />
            <IconButton
              small
              label="Arrange"
              icon={<LayoutDashboard />}
              disabled={!editable}
              onClick={() => {
                canvas.tidy();
                setFitKey((count) => count + 1);
              }}
            />
            <IconButton small label="Import JSON" icon={<Upload />} disabled={readOnly} onClick={() => file.current?.click()} />
            <IconButton small label="Export JSON" icon={<Download />} onClick={() => download(`${route.name}.json`, text)} />
            <IconButton small label="Keyboard" icon={<Keyboard />} onClick={() => setOpen("shortcuts")} />
            <input
              ref={file}
              type="file"
              accept="application/json,.json"
              className="visually-hidden"
              tabIndex={-1}
              aria-label="Import a route's JSON"
              onChange={(event) => {
                void importFile(event.target.files?.[0]);
                event.target.value = "";
              }}
            />
          </div>
          <FlowCanvas
            label={`The graph of ${route.name}`}
            graph={doc.graph}
            positions={doc.positions}
            marks={marks}
            selected={selected}
            onSelect={select}
            onSelectEdges={setEdges}
            edits={editable ? canvas.edits : undefined}
            fitKey={String(fitKey)}
            reveal={reveal}
          />
        </div>
        <section className={`${css.panel} ${panel === "json" ? css.wide : ""}`} aria-label="Details">
          <div className={css.panelHead}>
            <Segments
              label="Details"
              value={panel}
              onPick={setPanel}
              choices={[
                { value: "element", label: "Element" },
                { value: "json", label: "JSON" },
                { value: "faults", label: validation.faults.length > 0 ? `Faults ${validation.faults.length}` : "Faults" },
              ]}
            />
          </div>
          <div className={css.panelBody}>
            {panel === "json" && <JsonView editor={editor} readOnly={readOnly} />}
            {panel === "faults" && <FaultList validation={validation} graph={doc.graph} onPick={showFault} />}
            {panel === "element" &&
              (only ? (
                <Inspector
                  key={only.key}
                  gateway={gateway}
                  graph={doc.graph}
                  element={only}
                  faults={elementFaults}
                  readOnly={readOnly}
                  change={(next, group) => change((before) => editGraph(before, next(before.graph)), group ?? null)}
                  onDelete={removeSelected}
                  onDuplicate={clipboard.duplicate}
                />
              ) : (
                <p className={css.nothing}>
                  {selected.size > 1
                    ? `${selected.size} elements are selected. Drag them together, copy or delete them.`
                    : "Select an element to see and change what it does."}
                </p>
              ))}
          </div>
        </section>
      </div>
      {canvas.adding && (
        <Menu
          label="Add a block"
          near={canvas.adding.near}
          onClose={canvas.closeAdding}
          items={[
            ...kBlocks
              .filter((type) => type !== "start")
              .map((type) => {
                const { label, about, icon: Icon } = kTypes[type];
                return { key: type, label, about, icon: <Icon />, onPick: () => canvas.add(type, canvas.adding!, canvas.adding!.at) };
              }),
            ...doc.graph.elements
              .filter((element) => typeOf(element) === "end")
              .map((element) => ({
                key: element.key,
                label: `Lead to ${idOf(element)}`,
                icon: <kTypes.end.icon />,
                onPick: () => canvas.edits.onConnect(canvas.adding!.from, canvas.adding!.output, element.key),
              })),
          ]}
        />
      )}
      {open === "save" && (
        <SaveDialog gateway={gateway} route={route} editor={editor} validation={validation} onClose={() => setOpen(null)} onConflict={(conflict) => setOpen({ conflict })} />
      )}
      {open === "shortcuts" && <ShortcutsDialog onClose={() => setOpen(null)} />}
      {open === "deploy" && <DeployDialog gateway={gateway} route={route} version={editor.saved.version} onClose={() => setOpen(null)} />}
      {open !== null && typeof open === "object" && (
        <ConflictDialog gateway={gateway} route={route} editor={editor} comment={open.conflict} onClose={() => setOpen(null)} />
      )}
    </div>
  );
}

// What is selected; a single element's id is in the address.
function useSelection(graph: Parameters<typeof findById>[0]) {
  const [linked, setLinked] = useQueryState("element");
  const [selected, setState] = useState<ReadonlySet<string>>(() => {
    const element = linked === "" ? undefined : findById(graph, linked);
    return new Set(element ? [element.key] : []);
  });
  const latest = useRef(graph);
  latest.current = graph;
  const set = useCallback(
    (keys: ReadonlySet<string>) => {
      setState((before) => (before.size === keys.size && [...keys].every((key) => before.has(key)) ? before : keys));
      const only = keys.size === 1 ? findByKey(latest.current, [...keys][0]!) : undefined;
      setLinked(only ? idOf(only) : "");
    },
    [setLinked],
  );
  return [selected, set] as const;
}
