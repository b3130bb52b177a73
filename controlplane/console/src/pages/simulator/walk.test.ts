import { describe, expect, it } from "vitest";
import type { SimulateResponse, SpendRecord } from "@/api/types";
import { parseGraph, type Graph } from "@/graph/model";
import { dryWalk, liveWalk, marksOf } from "./walk";

const kJson = JSON.stringify({
  name: "x",
  elements: [
    { id: "start", type: "start", outputs: { next: { elementId: "limit" } } },
    { id: "limit", type: "rate", outputs: { success: { elementId: "big" }, fallback: { elementId: "end" } } },
    { id: "big", type: "model", outputs: { success: { elementId: "end" }, fallback: { elementId: "end" } } },
    { id: "end", type: "end", outputs: {} },
  ],
});
const graph = parseGraph(kJson).graph as Graph;
const record = { path: "start/limit/big/end", status: 200, outcome: "SUCCESS", limits: [], attempts: [{ elementId: "big", provider: "openai", model: "m", status: 200, error: "", durationUs: "1000" }] };

describe("a live walk", () => {
  it("is none before the answer's headers", () => expect(liveWalk({}, graph, kJson)).toBeNull());
  it("lights the way that an answer took, with the reasons of the record", () => {
    const walk = liveWalk({ path: "start/limit/big/end", status: 200, record: record as unknown as SpendRecord }, graph, kJson)!;
    expect(walk.steps.map(({ output }) => output)).toEqual(["next", "success", "success", ""]);
    expect(walk.steps[2]!.reason).toBe("openai/m: 200 in 1.0 ms");
    const { elements, edges } = marksOf(graph, walk);
    expect([...elements.values()].map(({ step, tone }) => [step, tone])).toEqual([[1, "ok"], [2, "ok"], [3, "ok"], [4, "ok"]]);
    expect([...edges].filter(([, mark]) => mark === "lit").map(([id]) => id)).toEqual(["start/next", "limit/success", "big/success"]);
  });
  it("lights a refusal's way, and ends it in red", () => {
    const walk = liveWalk({ path: "start/limit/end", status: 429 }, graph, kJson)!;
    const { elements, edges } = marksOf(graph, walk);
    expect(elements.get("end")).toMatchObject({ step: 3, tone: "bad" });
    expect(elements.get("big")).toEqual({ dim: true });
    expect(edges.get("limit/fallback")).toBe("lit");
    expect(edges.get("big/success")).toBe("dim");
  });
  it("takes a model's other way when both lead to one place and it failed", () => {
    expect(liveWalk({ path: "start/limit/big/end", status: 502 }, graph, kJson)!.steps[2]!.output).toBe("fallback");
  });
  it("passes over elements that the graph shown does not have", () => {
    const walk = liveWalk({ path: "start/gone/end", status: 200 }, graph, kJson)!;
    expect(marksOf(graph, walk).elements.get("end")).toMatchObject({ step: 3 });
  });
});

describe("a dry walk", () => {
  it("tells what a step would hold", () => {
    const step = { elementId: "limit", type: "rate", output: "success", reason: "within", holdNanos: "500000000", holdTokens: "0", identifier: "ada", shadow: false };
    expect(dryWalk({ status: 200, steps: [step] } as unknown as SimulateResponse).steps[0]!.hold).toBe("holds $0.50 for ada");
  });
});
