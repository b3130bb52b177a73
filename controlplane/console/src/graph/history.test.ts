import { describe, expect, it } from "vitest";
import { record, redo, startHistory, undo } from "./history";

describe("history", () => {
  it("goes back and forth", () => {
    const history = record(record(startHistory("a"), "b"), "c");
    expect(undo(history).present).toBe("b");
    expect(undo(undo(history)).present).toBe("a");
    expect(redo(undo(history)).present).toBe("c");
    expect(undo(undo(undo(history))).present).toBe("a");
    expect(redo(history)).toBe(history);
  });
  it("takes typing into one field as one step", () => {
    const typed = record(record(record(startHistory(""), "f", "name"), "fr", "name"), "fre", "name");
    expect(undo(typed).present).toBe("");
    const other = record(typed, "fre!", "comment");
    expect(undo(other).present).toBe("fre");
  });
  it("begins a new step after an undo", () => {
    const history = undo(record(startHistory(""), "f", "name"));
    expect(undo(record(history, "x", "name")).present).toBe("");
  });
  it("forgets what was undone once something else is done", () => {
    const history = record(undo(record(startHistory("a"), "b")), "c");
    expect(redo(history).present).toBe("c");
  });
  it("takes what changes nothing for no step", () => {
    const history = startHistory("a");
    expect(record(history, "a")).toBe(history);
  });
});
