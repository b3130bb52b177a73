import { describe, expect, it } from "vitest";
import { csvField, figure, toCsv } from "./csv";

describe("csv", () => {
  it("quotes what separates and what quotes", () => {
    expect(csvField("a,b")).toBe('"a,b"');
    expect(csvField('say "hi"')).toBe('"say ""hi"""');
    expect(csvField("two\nlines")).toBe('"two\nlines"');
    expect(csvField("plain")).toBe("plain");
  });

  it("keeps a spreadsheet from running text", () => {
    for (const text of ["=SUM(A1)", "+1", "-1", "@cmd", "\t=1", "  =1", "|calc"]) {
      expect(csvField(text).replace(/^"/, "").startsWith("'")).toBe(true);
    }
    expect(csvField('=HYPERLINK("x","y")')).toBe(`"'=HYPERLINK(""x"",""y"")"`);
  });

  it("leaves figures alone", () => {
    expect(csvField(figure("-1.25"))).toBe("-1.25");
    expect(csvField(figure(12n))).toBe("12");
  });

  it("writes a header and one line a row", () => {
    expect(toCsv(["who", "usd"], [["=a", figure("0.000000001")]])).toBe("who,usd\r\n'=a,0.000000001\r\n");
  });
});
