import { expect, it } from "vitest";
import type { GatewayKey } from "@/api/types";
import { stateOf, wrongMetadata } from "./state";

it("ends a key when it is revoked or its time is over", () => {
  const key = { id: "k" } as GatewayKey;
  expect(stateOf(key, 1_000)).toBe("active");
  expect(stateOf({ ...key, expireTime: "1970-01-01T00:00:01Z" }, 1_000)).toBe("expired");
  expect(stateOf({ ...key, expireTime: "1970-01-01T00:00:02Z" }, 1_000)).toBe("active");
  expect(stateOf({ ...key, expireTime: "1970-01-01T00:00:02Z", revokeTime: "1970-01-01T00:00:00Z" }, 1_000)).toBe("revoked");
});

it("pins objects only", () => {
  expect(wrongMetadata("")).toBe("");
  expect(wrongMetadata('{"plan":"free"}')).toBe("");
  expect(wrongMetadata("[1]")).toMatch(/object/);
  expect(wrongMetadata("plan=free")).toMatch(/JSON/);
});
