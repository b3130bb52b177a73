import { expect, it } from "vitest";
import type { UsageRow } from "@/api/types";
import { usageCsv } from "./usageCsv";

it("writes dollars to the nano, in the order of time, and disarms identifiers", () => {
  const row = (identifier: string, hour: string, costNanos: string): UsageRow => ({
    group: { identifier, hour },
    requests: "2",
    refused: "1",
    errors: "0",
    costNanos,
    estimatedNanos: "0",
    cacheHits: "0",
  });
  const text = usageCsv(
    {
      rows: [row("=cmd()", "2026-11-28T11:00:00Z", "9007199254740993"), row("ada", "2026-11-28T10:00:00Z", "1")],
      window: { startMs: 0, endMs: 1, bucket: "hour" },
    },
    "identifier",
    (id) => id,
  );
  const lines = text.trim().split("\r\n");
  expect(lines[0]).toMatch(/^hour,identifier,requests,refused,errors,cache_hits,cost_usd,/);
  expect(lines[1]).toMatch(/^2026-11-28T10:00:00Z,ada,2,1,0,0,0\.000000001,/);
  expect(lines[2]).toMatch(/^2026-11-28T11:00:00Z,'=cmd\(\),2,1,0,0,9007199\.254740993,/);
});
