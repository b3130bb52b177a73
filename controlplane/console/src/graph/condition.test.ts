import { describe, expect, it } from "vitest";
import { adaptOperand, describeConditions, newTest, readConditions, writeConditions } from "./condition";
import { addTo, joinBy, removeAt } from "./conditionEdit";
import type { JsonObject } from "./json";

const kKept: Record<string, JsonObject> = {
  "a bare value": { "metadata.plan": "free" },
  "an operator": { "metadata.plan": { $eq: "free" } },
  "two operators on a field": { "body.max_tokens": { $gt: 1, $lte: 500 } },
  "several fields": { "metadata.plan": "free", "metadata.beta": { $ne: true } },
  "an or": { $or: [{ "headers.x-region": "eu" }, { "metadata.beta": true }] },
  "an or beside a field": { "metadata.plan": "free", $or: [{ "headers.x-region": "eu" }, { "metadata.beta": true }] },
  "a spelled out and": { $and: [{ "metadata.a": 1 }, { "metadata.a": 2 }] },
  "a not": { $not: { "metadata.plan": { $in: ["free", "trial"] } } },
  "a deep tree": { $or: [{ $and: [{ "metadata.a": 1 }, { $not: { "metadata.b": { $exists: true } } }] }, { "metadata.c": null }] },
  "two members of an or's item": { $or: [{ "metadata.a": 1, "metadata.b": 2 }, { "metadata.c": 3 }] },
  "what is no operator": { "metadata.plan": { $like: "f%" }, $nor: [1] },
  nothing: {},
};

describe("conditions", () => {
  for (const [what, object] of Object.entries(kKept)) {
    it(`read and write back ${what}`, () => expect(writeConditions(readConditions(object))).toEqual(object));
  }
  it("spell $neq as $ne and a field's $not around it", () => {
    expect(writeConditions(readConditions({ "metadata.a": { $neq: 1 } }))).toEqual({ "metadata.a": { $ne: 1 } });
    expect(writeConditions(readConditions({ "metadata.a": { $not: { $gt: 1 } } }))).toEqual({ $not: { "metadata.a": { $gt: 1 } } });
  });
  it("put a second test of the same field and operator into $and, and lose none", () => {
    const tree = addTo(readConditions({ "metadata.plan": { $eq: "free" } }), [], { ...newTest(), operand: "trial" });
    expect(writeConditions(tree)).toEqual({ "metadata.plan": { $eq: "free" }, $and: [{ "metadata.plan": { $eq: "trial" } }] });
  });
  it("join a group another way", () => {
    const tree = readConditions({ "metadata.a": 1, "metadata.b": 2 });
    expect(writeConditions(joinBy(tree, [], "any"))).toEqual({ $or: [{ "metadata.a": 1 }, { "metadata.b": 2 }] });
    expect(writeConditions(joinBy(tree, [], "not"))).toEqual({ $not: { "metadata.a": 1, "metadata.b": 2 } });
    expect(writeConditions(removeAt(tree, [0]))).toEqual({ "metadata.b": 2 });
  });
  it("fit the operand to the operator", () => {
    expect(adaptOperand("free", "$in")).toEqual(["free"]);
    expect(adaptOperand(["free", "trial"], "$eq")).toBe("free");
    expect(adaptOperand("free", "$exists")).toBe(true);
  });
  it("say themselves in two lines", () => {
    expect(describeConditions({ "metadata.plan": { $eq: "free" } })).toEqual(["plan = free"]);
    expect(describeConditions({ "metadata.a": 1, "body.n": { $gte: 2 }, "headers.h": "x" })).toEqual(["a = 1", "and 2 more"]);
    expect(describeConditions({ $or: [{ "metadata.a": 1 }, { "metadata.b": { $exists: false } }] })).toEqual(["a = 1", "or b is absent"]);
  });
});
