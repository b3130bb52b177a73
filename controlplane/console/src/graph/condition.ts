// Conditions as a tree that a form can edit, to and from the Mongo-style object of the route language. Reading is total:
// what does not fit the tree (the server will call it a fault) becomes an `other` leaf and is written back as it was.
import { isObject, type Json, type JsonObject } from "./json";

export const kOperators = [
  { op: "$eq", label: "is", operand: "value" },
  { op: "$ne", label: "is not", operand: "value" },
  { op: "$gt", label: "is greater than", operand: "value" },
  { op: "$gte", label: "is at least", operand: "value" },
  { op: "$lt", label: "is less than", operand: "value" },
  { op: "$lte", label: "is at most", operand: "value" },
  { op: "$in", label: "is one of", operand: "list" },
  { op: "$nin", label: "is none of", operand: "list" },
  { op: "$exists", label: "is present", operand: "boolean" },
  { op: "$contains", label: "contains", operand: "value" },
] as const;

export type Operator = (typeof kOperators)[number]["op"];

export interface Test {
  kind: "test";
  field: string;
  op: string; // an Operator, or what the author wrote
  operand: Json;
  bare?: boolean; // written without an operator: {"metadata.plan": "free"}
}
export interface Group {
  kind: "group";
  join: "all" | "any" | "not"; // not: none of what is in it, joined by and
  written?: "$and"; // an `all` that was spelled out
  items: Condition[];
}
export interface Other {
  kind: "other";
  key: string;
  value: Json;
}
export type Condition = Test | Group | Other;

export const operandKind = (op: string) => kOperators.find((known) => known.op === op)?.operand ?? "value";

function readField(field: string, value: Json): Condition[] {
  if (!isObject(value)) return [{ kind: "test", field, op: "$eq", operand: value, bare: true }];
  const entries = Object.entries(value);
  if (entries.length === 0) return [{ kind: "other", key: field, value }];
  return entries.map(([op, operand]): Condition => {
    if (op === "$not" && isObject(operand)) return { kind: "group", join: "not", items: readField(field, operand) };
    return { kind: "test", field, op: op === "$neq" ? "$ne" : op, operand };
  });
}

export function readConditions(object: JsonObject): Group {
  const items: Condition[] = [];
  for (const [key, value] of Object.entries(object)) {
    const list = Array.isArray(value) && value.every(isObject) ? value : null;
    if (key === "$or" && list) items.push({ kind: "group", join: "any", items: list.map(unwrap) });
    else if (key === "$and" && list) items.push({ kind: "group", join: "all", written: "$and", items: list.map(unwrap) });
    else if (key === "$not" && isObject(value)) items.push({ ...readConditions(value), join: "not" });
    else if (key.startsWith("$")) items.push({ kind: "other", key, value });
    else items.push(...readField(key, value));
  }
  const only = items.length === 1 ? items[0] : undefined;
  // A lone group is the root itself, so that "any of" stands at the top of the form.
  if (only?.kind === "group" && only.join !== "not") return only;
  return { kind: "group", join: "all", items };
}

// A list's member: one test stands for itself.
function unwrap(object: JsonObject): Condition {
  const group = readConditions(object);
  return group.join === "all" && !group.written && group.items.length === 1 ? group.items[0]! : group;
}

export function writeConditions(root: Group): JsonObject {
  return root.join === "all" && !root.written ? joined(root.items) : single(root);
}

function single(condition: Condition): JsonObject {
  switch (condition.kind) {
    case "test":
      return { [condition.field]: condition.bare ? condition.operand : { [condition.op]: condition.operand } };
    case "other":
      return { [condition.key]: condition.value };
    case "group":
      if (condition.join === "not") return { $not: joined(condition.items) };
      if (condition.join === "any") return { $or: condition.items.map(single) };
      return condition.written ? { $and: condition.items.map(single) } : joined(condition.items);
  }
}

// One object for all of `items`; what would overwrite a member moves into $and.
function joined(items: readonly Condition[]): JsonObject {
  const object: JsonObject = {};
  const rest: Json[] = [];
  for (const item of items) {
    for (const [key, value] of Object.entries(single(item))) {
      const there = object[key];
      if (there === undefined) {
        object[key] = value;
      } else if (!key.startsWith("$") && isObject(there) && isObject(value) && disjoint(there, value)) {
        object[key] = { ...there, ...value };
      } else {
        rest.push({ [key]: value });
      }
    }
  }
  if (rest.length > 0) {
    const there = object.$and;
    object.$and = Array.isArray(there) ? [...there, ...rest] : rest;
  }
  return object;
}

const disjoint = (a: JsonObject, b: JsonObject) => Object.keys(b).every((key) => !Object.hasOwn(a, key));

export const newTest = (): Test => ({ kind: "test", field: "metadata.plan", op: "$eq", operand: "" });

// The operand as the new operator takes it: a list for "one of", a boolean for "present".
export function adaptOperand(operand: Json, op: string): Json {
  switch (operandKind(op)) {
    case "list":
      return Array.isArray(operand) ? operand : operand === "" ? [] : [operand];
    case "boolean":
      return typeof operand === "boolean" ? operand : true;
    default:
      return Array.isArray(operand) ? (operand[0] ?? "") : operand;
  }
}

// ---- Text ----

const kSigns: Record<string, string> = {
  $eq: "=",
  $ne: "≠",
  $gt: ">",
  $gte: "≥",
  $lt: "<",
  $lte: "≤",
  $in: "in",
  $nin: "not in",
  $contains: "contains",
};

const valueText = (value: Json): string =>
  typeof value === "string" ? value || "“”" : Array.isArray(value) ? value.map(valueText).join(", ") : JSON.stringify(value);

export function testText(test: Test): string {
  const field = test.field.replace(/^metadata\./, "");
  if (test.op === "$exists") return `${field} is ${test.operand === false ? "absent" : "present"}`;
  return `${field} ${kSigns[test.op] ?? test.op} ${valueText(test.operand)}`;
}

function countTests(condition: Condition): number {
  return condition.kind === "group" ? condition.items.reduce((sum, item) => sum + countTests(item), 0) : 1;
}

function lineOf(condition: Condition): string {
  if (condition.kind === "test") return testText(condition);
  if (condition.kind === "other") return condition.key;
  const only = condition.items.length === 1 ? condition.items[0] : undefined;
  if (condition.join === "not") return only ? `not (${lineOf(only)})` : `none of ${condition.items.length}`;
  return `${condition.join} of ${countTests(condition)}`;
}

// Two lines at most: the first two tests, or how many there are.
export function describeConditions(object: JsonObject): string[] {
  const root = readConditions(object);
  if (root.items.length === 0) return ["no conditions yet"];
  const word = root.join === "any" ? "or" : "and";
  if (root.items.length === 1) return [lineOf(root.items[0]!)];
  if (root.items.length === 2) return [lineOf(root.items[0]!), `${word} ${lineOf(root.items[1]!)}`];
  return [lineOf(root.items[0]!), `${word} ${root.items.length - 1} more`];
}
