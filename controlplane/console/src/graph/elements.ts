// What each type of element is to a reader: its name, its outputs, and one or two lines that say what it does.
import { CircleStop, Cpu, Gauge, GitBranch, Play, Shapes, Split, type LucideIcon } from "lucide-react";
import type { CSSProperties } from "react";
import { describeConditions } from "./condition";
import { isObject, type Json, type JsonObject } from "./json";
import { outputsOf, propertiesOf, typeOf, type ElementType, type FlowElement } from "./model";

export interface TypeInfo {
  label: string;
  icon: LucideIcon;
  colour: string;
  outputs: readonly string[]; // in the order they are drawn
  required: readonly string[];
  about: string;
}

export const kTypes: Record<ElementType, TypeInfo> = {
  start: {
    label: "Start",
    icon: Play,
    colour: "var(--el-start)",
    outputs: ["next"],
    required: ["next"],
    about: "Where every request begins",
  },
  conditional: {
    label: "Condition",
    icon: GitBranch,
    colour: "var(--el-conditional)",
    outputs: ["true", "false"],
    required: ["true", "false"],
    about: "If / else on metadata, body or headers",
  },
  percentage: {
    label: "Split",
    icon: Split,
    colour: "var(--el-percentage)",
    outputs: [],
    required: [],
    about: "Shares of the traffic, by chance or sticky",
  },
  rate: {
    label: "Limit",
    icon: Gauge,
    colour: "var(--el-rate)",
    outputs: ["success", "fallback"],
    required: ["success"],
    about: "Requests, dollars or tokens per identifier",
  },
  model: {
    label: "Model",
    icon: Cpu,
    colour: "var(--el-model)",
    outputs: ["success", "fallback"],
    required: ["success"],
    about: "Calls a provider's model",
  },
  end: {
    label: "End",
    icon: CircleStop,
    colour: "var(--el-end)",
    outputs: [],
    required: [],
    about: "The answer, or an error of your own",
  },
};

const kUnknown: TypeInfo = {
  label: "Unknown",
  icon: Shapes,
  colour: "var(--bad)",
  outputs: [],
  required: [],
  about: "The gateway does not know this type",
};

export const isElementType = (type: string): type is ElementType => Object.hasOwn(kTypes, type);
export const infoOf = (type: string): TypeInfo => (isElementType(type) ? kTypes[type] : kUnknown);
// The type's colour, for the styles of a block.
export const toneOf = (type: string) => ({ "--tone": infoOf(type).colour }) as CSSProperties;

// The outputs that an element shows: those of its type, then whatever else it has.
export function shownOutputs(element: FlowElement): string[] {
  const own = Object.keys(outputsOf(element));
  const usual = infoOf(typeOf(element)).outputs;
  return [...usual, ...own.filter((output) => !usual.includes(output))];
}

export function outputLabel(type: string, output: string): string {
  if (type === "rate") return output === "success" ? "within limit" : output === "fallback" ? "over limit" : output;
  if (type === "model") return output === "success" ? "answered" : output === "fallback" ? "failed" : output;
  return output;
}

const kWindowNames: Record<number, string> = { 1: "second", 60: "minute", 3_600: "hour", 86_400: "day", 604_800: "week" };

export function windowText(window: Json | undefined): string {
  if (typeof window === "string") return `calendar ${window}`;
  if (typeof window !== "number") return "…";
  const named = kWindowNames[window];
  if (named) return named;
  for (const [size, unit] of [[86_400, "days"], [3_600, "hours"], [60, "minutes"]] as const) {
    if (window % size === 0) return `${window / size} ${unit}`;
  }
  return `${window} s`;
}

const fieldText = (field: Json | undefined) => (typeof field === "string" ? field : "…");
const keyText = (key: Json | undefined) => (Array.isArray(key) ? key.map(fieldText).join(" + ") : fieldText(key));
const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 9 });

function limitText(properties: JsonObject): string {
  const { limitType, limit } = properties;
  if (typeof limit !== "number") return "no limit yet";
  if (limitType === "cost") return `$${number.format(limit)}`;
  const unit = limitType === "tokens" ? "tokens" : limitType === "count" ? "requests" : "of ?";
  return `${number.format(limit)} ${limit === 1 ? unit.replace(/s$/, "") : unit}`;
}

export function summaryOf(element: FlowElement): string[] {
  const properties = propertiesOf(element);
  switch (typeOf(element)) {
    case "start":
      return typeof properties.cacheTtl === "number" && properties.cacheTtl > 0
        ? [`answers kept ${windowText(properties.cacheTtl)}`]
        : [];
    case "conditional":
      return isObject(properties.conditions) ? describeConditions(properties.conditions) : ["no conditions yet"];
    case "percentage":
      return [properties.stickyKey === undefined ? "by chance" : `the same for each ${fieldText(properties.stickyKey)}`];
    case "rate":
      return [
        `${limitText(properties)} per ${windowText(properties.window)}${properties.shadow === true ? ", shadow" : ""}`,
        `for each ${keyText(properties.key)}`,
      ];
    case "model":
      return [fieldText(properties.model), `at ${fieldText(properties.provider)}`];
    case "end":
      return properties.status === undefined ? [] : [`answers ${String(properties.status)}`];
    default:
      return [typeOf(element) === "" ? "has no type" : `type “${typeOf(element)}”`];
  }
}

// Drawn sizes, so that the layout knows them without measuring.
const kWidth = 228;
const kOutputWidth = 92;
const kHead = 52;
const kLine = 19;
const kOutputs = 33;
export const nodeWidth = (element: FlowElement): number => Math.max(kWidth, shownOutputs(element).length * kOutputWidth);
export function nodeHeight(element: FlowElement): number {
  const lines = summaryOf(element).length;
  return kHead + (lines > 0 ? lines * kLine + 10 : 0) + (shownOutputs(element).length > 0 ? kOutputs : 0);
}
