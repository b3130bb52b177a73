// The conditions of an element as nested groups of tests. The form keeps a tree of its own, so that what is half typed
// is not reshaped; it takes the graph's again when that was changed elsewhere.
import { ListPlus, Plus, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { adaptOperand, kOperators, newTest, operandKind, readConditions, writeConditions, type Condition, type Group, type Test } from "@/graph/condition";
import { addTo, joinBy, removeAt, updateAt, type Path } from "@/graph/conditionEdit";
import { isObject, type Json } from "@/graph/json";
import { Button, IconButton } from "@/ui/Button";
import { Select } from "@/ui/Field";
import { faultOf, type FormProps } from "./context";
import { FieldRef } from "./FieldRef";
import css from "./forms.module.css";
import { ScalarInput, YesNo } from "./ScalarInput";

const kJoins = [
  { value: "all", label: "All of these hold" },
  { value: "any", label: "Any of these holds" },
  { value: "not", label: "Not all of these hold" },
] as const;

export function ConditionForm({ properties, faults, set }: FormProps) {
  const stored = isObject(properties.conditions) ? properties.conditions : {};
  const storedText = JSON.stringify(stored);
  const [tree, setTree] = useState(() => readConditions(stored));
  const written = useRef(storedText);
  useEffect(() => {
    if (storedText === written.current) return;
    written.current = storedText;
    setTree(readConditions(JSON.parse(storedText)));
  }, [storedText]);
  const change = (next: Group) => {
    setTree(next);
    const object = writeConditions(next);
    written.current = JSON.stringify(object);
    set("conditions", object);
  };
  const fault = faultOf(faults, "conditions");
  return (
    <div className={css.stack}>
      <p className={css.about}>Requests for which this holds leave by “true”, all others by “false”.</p>
      <GroupEditor root={tree} group={tree} path={[]} onChange={change} />
      {fault && <p className={css.fault}>{fault}</p>}
    </div>
  );
}

interface EditorProps {
  root: Group;
  path: Path;
  onChange: (root: Group) => void;
}

function GroupEditor({ root, group, path, onChange }: EditorProps & { group: Group }) {
  return (
    <fieldset className={css.group}>
      <legend className="visually-hidden">{path.length === 0 ? "Conditions" : "Group of conditions"}</legend>
      <div className={css.groupHead}>
        <Select
          aria-label="How these are joined"
          value={group.join}
          choices={kJoins}
          onPick={(join) => onChange(joinBy(root, path, join))}
        />
        {path.length > 0 && (
          <IconButton small label="Remove this group" icon={<Trash2 />} onClick={() => onChange(removeAt(root, path))} />
        )}
      </div>
      {group.items.map((item, index) => (
        <ItemEditor key={index} root={root} item={item} path={[...path, index]} onChange={onChange} />
      ))}
      <div className={css.groupFoot}>
        <Button small icon={<Plus />} onClick={() => onChange(addTo(root, path, newTest()))}>
          Test
        </Button>
        <Button
          small
          icon={<ListPlus />}
          onClick={() => onChange(addTo(root, path, { kind: "group", join: "any", items: [newTest()] }))}
        >
          Group
        </Button>
      </div>
    </fieldset>
  );
}

function ItemEditor({ root, item, path, onChange }: EditorProps & { item: Condition }) {
  switch (item.kind) {
    case "group":
      return <GroupEditor root={root} group={item} path={path} onChange={onChange} />;
    case "test":
      return (
        <TestEditor
          test={item}
          onChange={(test) => onChange(updateAt(root, path, () => test))}
          onRemove={() => onChange(removeAt(root, path))}
        />
      );
    case "other":
      return (
        <div className={css.test}>
          <p className={css.about}>
            <code>{JSON.stringify({ [item.key]: item.value })}</code> cannot be edited here; the JSON view can.
          </p>
          <IconButton small label="Remove this" icon={<Trash2 />} onClick={() => onChange(removeAt(root, path))} />
        </div>
      );
  }
}

function TestEditor({ test, onChange, onRemove }: { test: Test; onChange: (test: Test) => void; onRemove: () => void }) {
  const known = kOperators.some((operator) => operator.op === test.op);
  const choices = [
    ...kOperators.map((operator) => ({ value: operator.op as string, label: operator.label })),
    ...(known ? [] : [{ value: test.op, label: test.op }]),
  ];
  return (
    <div className={css.test} role="group" aria-label="Test">
      <div className={css.testFields}>
        <FieldRef label="Field" value={test.field} onChange={(field) => onChange({ ...test, field })} />
        <Select
          aria-label="Operator"
          value={test.op}
          choices={choices}
          onPick={(op) =>
            onChange({ ...test, op, operand: adaptOperand(test.operand, op), bare: op === test.op ? test.bare : undefined })
          }
        />
        <Operand test={test} onChange={(operand) => onChange({ ...test, operand })} />
      </div>
      <IconButton small label="Remove this test" icon={<Trash2 />} onClick={onRemove} />
    </div>
  );
}

function Operand({ test, onChange }: { test: Test; onChange: (operand: Json) => void }) {
  const kind = operandKind(test.op);
  if (kind === "boolean") return <YesNo label="Present" value={test.operand === true} onChange={onChange} />;
  if (kind === "value") return <ScalarInput label="Value" value={test.operand} onChange={onChange} />;
  const list = Array.isArray(test.operand) ? test.operand : [];
  return (
    <div className={css.list}>
      {list.map((value, index) => (
        <div key={index} className={css.listItem}>
          <ScalarInput label={`Value ${index + 1}`} value={value} onChange={(next) => onChange(list.map((old, at) => (at === index ? next : old)))} />
          <IconButton small label={`Remove value ${index + 1}`} icon={<Trash2 />} onClick={() => onChange(list.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Button small icon={<Plus />} onClick={() => onChange([...list, ""])}>
        Value
      </Button>
    </div>
  );
}
