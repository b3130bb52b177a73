import { describe, expect, it } from "vitest";
import type { Fault, ProxyStatus, SnapshotId } from "@/api/types";
import { driftOf, stateOf } from "./drift";

const id = (sequence: string, lineage = "l"): SnapshotId => ({ lineage, sequence, sha256: "" });
const proxy = (over: Partial<ProxyStatus>): ProxyStatus =>
  ({ proxyId: "p", connected: true, inSync: false, rejected: [], applied: id("3"), ...over }) as ProxyStatus;

describe("drift", () => {
  it("is a number of snapshots", () => {
    expect(driftOf(proxy({}), id("5"))).toBe("2 behind");
    expect(driftOf(proxy({}), id("2"))).toBe("1 ahead");
    expect(driftOf(proxy({ inSync: true }), id("3"))).toBe("");
    expect(driftOf(proxy({ applied: id("9", "other") }), id("3"))).toBe("of another control plane");
  });
  it("has a state, absence first", () => {
    expect(stateOf(proxy({ connected: false, inSync: true }))).toBe("away");
    expect(stateOf(proxy({ inSync: true }))).toBe("sync");
    expect(stateOf(proxy({ rejected: [{} as Fault] }))).toBe("rejected");
    expect(stateOf(proxy({}))).toBe("behind");
  });
});
