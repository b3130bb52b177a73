import { describe, expect, it } from "vitest";
import type { ProviderStatus } from "@/api/types";
import { failureShare, healthOf } from "./health";

const status = (over: Partial<ProviderStatus>): ProviderStatus =>
  ({ breaker: "CLOSED", model: "", attempts: "10", failures: "1", consecutiveFailures: "0", ejected: false, ...over }) as ProviderStatus;

describe("a provider's health", () => {
  it("is as bad as its worst part", () => {
    expect(healthOf([]).tone).toBe("neutral");
    expect(healthOf([status({})]).label).toBe("healthy");
    expect(healthOf([status({}), status({ consecutiveFailures: "2" })]).tone).toBe("warn");
    expect(healthOf([status({ ejected: true }), status({ breaker: "OPEN" })]).label).toBe("1 breaker open");
  });
  it("counts no call twice", () => {
    expect(failureShare([status({}), status({ model: "gpt-4o" }), status({ attempts: "5", failures: "0" })])).toEqual({ attempts: 15n, failures: 1n });
  });
});
