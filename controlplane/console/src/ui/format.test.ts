import { describe, expect, it } from "vitest";
import { exactNanos, formatNanos } from "./format";

describe("money", () => {
  it("keeps what tells something and rounds to cents above a dollar", () => {
    expect(formatNanos("0")).toBe("$0");
    expect(formatNanos("42750")).toBe("$0.00004275");
    expect(formatNanos("1")).toBe("$0.000000001");
    expect(formatNanos("1234565000000")).toBe("$1,234.57");
    expect(formatNanos("-1250000000")).toBe("−$1.25");
  });
  it("is exact beyond what a float holds", () => {
    expect(exactNanos("9007199254740993")).toBe("9007199.254740993");
    expect(exactNanos("-1")).toBe("-0.000000001");
  });
});
