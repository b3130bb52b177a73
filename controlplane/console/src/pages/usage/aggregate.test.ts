import { describe, expect, it } from "vitest";
import type { UsageRow } from "@/api/types";
import { amountOf, bucketFor, bucketsOf, floorTo, groupOf, kRest, seriesOf, share } from "./aggregate";

const row = (group: Record<string, string>, costNanos: string, requests = "1"): UsageRow => ({
  group,
  requests,
  refused: "0",
  errors: "0",
  costNanos,
  estimatedNanos: "0",
  cacheHits: "0",
});

const kStart = Date.parse("2026-11-28T10:00:00Z");
const hours = { startMs: kStart, endMs: kStart + 3 * 3_600_000, bucket: "hour" as const };

describe("buckets", () => {
  it("cover the window, empty ones too", () => {
    expect(bucketsOf(hours).map((ms) => new Date(ms).toISOString().slice(11, 16))).toEqual(["10:00", "11:00", "12:00"]);
  });
  it("of months begin with the month, whatever its length", () => {
    const window = { startMs: Date.parse("2026-01-15"), endMs: Date.parse("2026-04-01"), bucket: "month" as const };
    expect(bucketsOf(window).map((ms) => new Date(ms).toISOString().slice(0, 10))).toEqual(["2026-01-01", "2026-02-01", "2026-03-01"]);
    expect(floorTo("month", Date.parse("2028-02-29T12:00:00Z"))).toBe(Date.parse("2028-02-01"));
  });
  it("are as fine as the span allows", () => {
    expect(bucketFor(3_600_000)).toBe("minute");
    expect(bucketFor(86_400_000)).toBe("hour");
    expect(bucketFor(30 * 86_400_000)).toBe("day");
    expect(bucketFor(365 * 86_400_000)).toBe("month");
  });
});

describe("series", () => {
  it("keep amounts beyond what a float holds", () => {
    const rows = [row({ route: "a", hour: "2026-11-28T10:00:00Z" }, "9007199254740993"), row({ route: "a", hour: "2026-11-28T10:00:00Z" }, "1")];
    const { points } = seriesOf(rows, hours, "spend", (r) => groupOf(r, "route"));
    expect(points[0]!.values.a).toBe(9007199254740994n);
    expect(points[1]!.values.a).toBeUndefined();
  });
  it("name the largest and put the others together", () => {
    const rows = ["a", "b", "c", "d"].map((route, index) => row({ route, hour: "2026-11-28T11:00:00Z" }, String(10 - index)));
    const { names, points } = seriesOf(rows, hours, "spend", (r) => groupOf(r, "route"), 2);
    expect(names).toEqual(["a", "b", kRest]);
    expect(points[1]!.values).toEqual({ a: 10n, b: 9n, [kRest]: 15n });
  });
  it("never add latencies of groups together", () => {
    const slow = (route: string, requests: string): UsageRow => ({
      ...row({ route, hour: "2026-11-28T11:00:00Z" }, "0", requests),
      latency: { meanUs: "1", p50Us: "1", p95Us: "700", p99Us: "1", firstByteP50Us: "1", firstByteP95Us: "1" },
    });
    const { names, points } = seriesOf([slow("a", "3"), slow("b", "2"), slow("c", "1")], hours, "latency", (r) => groupOf(r, "route"), 2);
    expect(names).toEqual(["a", "b"]);
    expect(points[1]!.values).toEqual({ a: 700n, b: 700n });
  });
});

describe("amounts", () => {
  it("count tokens in both directions", () => {
    const usage = { input: "7", output: "5" } as UsageRow["usage"];
    expect(amountOf({ ...row({}, "0"), usage }, "tokens")).toBe(12n);
  });
  it("tell versions apart by their route", () => {
    expect(groupOf(row({ route: "a", version: "2" }, "0"), "version")).toBe("a v2");
  });
  it("have shares of a whole, none of nothing", () => {
    expect(share(1n, 4n)).toBe(0.25);
    expect(share(1n, 0n)).toBe(0);
  });
});
