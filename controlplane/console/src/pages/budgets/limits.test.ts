import { describe, expect, it } from "vitest";
import type { LimitCounter } from "@/api/types";
import { fullness, identifierParts, identifierTypes, windowText } from "./limits";

const counter = (used: string, limit: string | undefined, identifier = "ada", key: object[] = [{ stringValue: "ada" }]): LimitCounter =>
  ({ identifier, limit, counter: { settled: used, held: "0", suspense: "0", resetUs: "0", used, key: { identifier: key } } }) as unknown as LimitCounter;

describe("limits", () => {
  it("are as full as their counter says, beyond what a float holds", () => {
    expect(fullness(counter("5", "10"), undefined)).toBe(0.5);
    expect(fullness(counter("9007199254740993", "9007199254740992"), undefined)).toBe(1);
    expect(fullness(counter("15", undefined), "10")).toBe(1.5);
    expect(fullness(undefined, "10")).toBe(0);
  });
  it("of nothing are full as soon as anything was used", () => {
    expect(fullness(counter("0", "0"), undefined)).toBe(0);
    expect(fullness(counter("1", "0"), undefined)).toBe(1);
  });
  it("have windows in words", () => {
    expect(windowText("86400 s")).toBe("day");
    expect(windowText("5400 s")).toBe("1 h 30 min");
    expect(windowText("month (Europe/Berlin)")).toBe("calendar month in Europe/Berlin");
  });
  it("name combinations part by part, with their types", () => {
    const both = counter("1", "2", '["growth",7]', [{ stringValue: "growth" }, { numberValue: 7 }]);
    expect(identifierParts(both)).toEqual(["growth", "7"]);
    expect(identifierTypes(both)).toEqual(["string", "number"]);
    expect(identifierParts(counter("1", "2", "[x"))).toEqual(["[x"]);
  });
});
