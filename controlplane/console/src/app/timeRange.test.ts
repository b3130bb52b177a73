import { describe, expect, it } from "vitest";
import { localInput, rangeOf } from "./timeRange";

const kNow = Date.parse("2026-11-28T12:00:00Z");

describe("ranges of time", () => {
  it("end now when they are named", () => {
    expect(rangeOf("1h", "", "", kNow)).toEqual({ startMs: kNow - 3_600_000, endMs: kNow, live: true });
  });
  it("have their own ends", () => {
    expect(rangeOf("custom", localInput(kNow - 7_200_000), localInput(kNow - 3_600_000), kNow)).toEqual({
      startMs: kNow - 7_200_000,
      endMs: kNow - 3_600_000,
      live: false,
    });
  });
  it("are none when they end before they start or are no times", () => {
    expect(rangeOf("custom", localInput(kNow), localInput(kNow - 60_000), kNow)).toBeNull();
    expect(rangeOf("custom", "yesterday", "", kNow)).toBeNull();
    expect(rangeOf("no such", "", "", kNow)).toBeNull();
  });
});
