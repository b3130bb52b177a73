import { expect, it } from "vitest";
import { isAmount } from "./amount";

it("takes dollars to the nano and whole numbers of anything else", () => {
  expect(isAmount("-1.25", true)).toBe(true);
  expect(isAmount("0.000000001", true)).toBe(true);
  expect(isAmount("0.0000000001", true)).toBe(false);
  expect(isAmount("1e3", true)).toBe(false);
  expect(isAmount("0", true)).toBe(false);
  expect(isAmount(" -3 ", false)).toBe(true);
  expect(isAmount("1.5", false)).toBe(false);
  expect(isAmount("", false)).toBe(false);
});
