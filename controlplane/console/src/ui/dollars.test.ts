import { describe, expect, it } from "vitest";
import { dollarsText, parseDollars } from "./dollars";

describe("dollars", () => {
  it("are exact to the nano, also where a float is not", () => {
    expect(parseDollars("0.1")).toBe("100000000");
    expect(parseDollars("$ 1.25")).toBe("1250000000");
    expect(parseDollars("999999999.999999999")).toBe("999999999999999999");
    expect(parseDollars("0")).toBe("0");
  });
  it("are refused when they are finer or no number", () => {
    for (const text of ["", "-1", "1e3", "0.0000000001", "1,5", "1.", ".5"]) expect(parseDollars(text)).toBeNull();
  });
  it("come back as they went in", () => {
    for (const text of ["0", "0.075", "1.25", "15", "0.000000001", "123456789.123456789"]) expect(dollarsText(parseDollars(text)!)).toBe(text);
  });
});
