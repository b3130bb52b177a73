import { describe, expect, it } from "vitest";
import type { Attempt, SpendRecord } from "@/api/types";
import { graphOf, identifierWords, stepsOf } from "./steps";

const kGraph = graphOf(
  JSON.stringify({
    elements: [
      { id: "start", type: "start", outputs: { next: { elementId: "plan" } } },
      { id: "plan", type: "conditional", outputs: { true: { elementId: "limit" }, false: { elementId: "big" } } },
      { id: "limit", type: "rate", outputs: { success: { elementId: "big" }, fallback: { elementId: "end" } } },
      { id: "big", type: "model", outputs: { success: { elementId: "end" }, fallback: { elementId: "end" } } },
      { id: "end", type: "end", outputs: {} },
    ],
  }),
);
const attempt = (over: Partial<Attempt>): Attempt =>
  ({ elementId: "big", provider: "openai", model: "gpt-5.1", status: 200, error: "", startUs: "0", firstByteUs: "0", durationUs: "1000", ...over }) as Attempt;
const record = (over: Partial<SpendRecord>): SpendRecord =>
  ({ path: "start/plan/limit/big/end", limits: [{ elementId: "limit", pool: "p", identifier: "ada", denied: false, shadowDenied: false }], attempts: [attempt({})], outcome: "SUCCESS", status: 200, errorCode: "", cache: "MISS", ...over }) as SpendRecord;

describe("steps of a request", () => {
  it("say what each element decided", () => {
    const steps = stepsOf(record({}), kGraph);
    expect(steps.map((step) => [step.type, step.tone])).toEqual([
      ["start", "plain"], ["conditional", "plain"], ["rate", "ok"], ["model", "ok"], ["end", "ok"],
    ]);
    expect(steps[1]!.text).toBe("true");
    expect(steps[3]!.text).toBe("openai/gpt-5.1: 200 in 1.0 ms");
  });
  it("show the limit that refused", () => {
    const steps = stepsOf(
      record({ path: "start/plan/limit/end", outcome: "REFUSED", status: 429, errorCode: "limit", attempts: [], limits: [{ elementId: "limit", pool: "p", identifier: "ada", denied: true, shadowDenied: false }] }),
      kGraph,
    );
    expect(steps[2]).toMatchObject({ tone: "warn", text: "over the limit for ada" });
    expect(steps[3]!.text).toBe("status 429, limit");
  });
  it("count the tries at a model", () => {
    const steps = stepsOf(record({ attempts: [attempt({ status: 503 }), attempt({})] }), kGraph);
    expect(steps[3]!.text).toBe("openai/gpt-5.1: 2 tries, 503, then 200 in 2.0 ms");
  });
  it("name combinations part by part", () => {
    expect(identifierWords('["growth",7]')).toBe("growth, 7");
    expect(identifierWords("[ada")).toBe("[ada");
  });
  it("do without a graph", () => {
    expect(stepsOf(record({}), graphOf("no JSON")).map((step) => step.type)).toEqual(["start", "", "rate", "model", ""]);
  });
});
