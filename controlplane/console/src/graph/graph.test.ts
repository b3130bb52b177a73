import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { editGraph, editText, openDocument, textOf } from "./document";
import { addElement, connect, paste, removeElements, setId, setProperty } from "./edit";
import { nodeWidth, shownOutputs } from "./elements";
import { boxesOf, completePositions, layoutGraph, overlap } from "./layout";
import { linePath } from "./line";
import { edgesOf, findById, idOf, parseGraph, readPositions, serialise, targetOf, writePositions, type Graph, type Position, type Positions } from "./model";

const kFolder = join(__dirname, "../../../../deploy/examples");
const kFiles = readdirSync(kFolder).filter((name) => name.endsWith(".json"));
const textOfFile = (name: string) => readFileSync(join(kFolder, name), "utf8");

function read(text: string): Graph {
  const { graph, error } = parseGraph(text);
  if (!graph) throw new Error(error);
  return graph;
}

function overlaps(graph: Graph, positions: Positions): string[] {
  const boxes = boxesOf(graph, positions);
  return boxes.flatMap((a, index) => boxes.slice(index + 1).filter((b) => overlap(a, b)).map((b) => `${a.key} and ${b.key}`));
}

// A ladder of limits, each with a way out: 200 elements, as large as a route is likely to be.
function ladder(count: number): Graph {
  const elements = Array.from({ length: count }, (_, index) => ({
    id: `e${index}`,
    type: index === 0 ? "start" : index === count - 1 ? "end" : "rate",
    outputs: index === count - 1 ? {} : index === 0 ? { next: { elementId: "e1" } } : { success: { elementId: `e${index + 1}` }, fallback: { elementId: `e${count - 1}` } },
  }));
  return read(JSON.stringify({ name: "ladder", elements }));
}

describe("every example", () => {
  it("is there to be tested", () => expect(kFiles.length).toBeGreaterThanOrEqual(6));
  for (const name of kFiles) {
    it(`${name} opens and saves unchanged, byte for byte`, () => {
      const text = textOfFile(name);
      expect(textOf(openDocument(text, ""))).toBe(text);
    });
    it(`${name} is written as it was after an edit that is taken back`, () => {
      const text = textOfFile(name);
      const graph = read(text);
      const there = setProperty(graph, graph.elements[1]!.key, "message", "x");
      expect(serialise(there)).not.toBe(text);
      expect(serialise(setProperty(there, graph.elements[1]!.key, "message", undefined))).toBe(text);
    });
    it(`${name} lays out without overlaps`, () => {
      const graph = read(textOfFile(name));
      expect(overlaps(graph, layoutGraph(graph))).toEqual([]);
    });
  }
});

describe("layout", () => {
  it("keeps 200 elements apart", () => {
    const graph = ladder(200);
    expect(overlaps(graph, layoutGraph(graph))).toEqual([]);
  });
  it("keeps a loop and an orphan apart too, which the server will call faults", () => {
    const graph = read('{"name":"x","elements":[{"id":"a","type":"rate","outputs":{"success":{"elementId":"b"}}},{"id":"b","type":"rate","outputs":{"success":{"elementId":"a"}}},{"id":"c","type":"end"}]}');
    expect(overlaps(graph, layoutGraph(graph))).toEqual([]);
  });
  it("keeps the author's places and finds free ones for the rest", () => {
    const graph = read(textOfFile("my-trillion-dollar-saas.json"));
    const { end: _, ...known } = layoutGraph(graph);
    const positions = completePositions(graph, known);
    expect(overlaps(graph, positions)).toEqual([]);
    expect({ ...positions, end: undefined }).toEqual({ ...known, end: undefined });
  });
  it("is told apart from the export", () => {
    const graph = read(textOfFile("canary-split.json"));
    const positions = layoutGraph(graph);
    expect(readPositions(writePositions(graph, positions), graph)).toEqual(positions);
    expect(serialise(graph)).not.toContain('"x"');
  });
  it("passes over places that are no places", () => {
    const graph = read(textOfFile("canary-split.json"));
    expect(readPositions('{"start":{"x":"1","y":2},"old":5}', graph)).toEqual({});
    expect(readPositions("nonsense", graph)).toEqual({});
  });
});

describe("editing", () => {
  const graph = read(textOfFile("my-trillion-dollar-saas.json"));

  it("renames an element everywhere", () => {
    const renamed = setId(graph, "free-model", "mini");
    expect(targetOf(findById(renamed, "free-budget")!, "success")).toBe("mini");
    expect(edgesOf(renamed).length).toBe(edgesOf(graph).length);
    expect(findById(renamed, "mini")!.key).toBe("free-model");
  });
  it("removes an element with what led to it", () => {
    const without = removeElements(graph, new Set(["free-model"]));
    expect(targetOf(findById(without, "free-budget")!, "success")).toBeNull();
    expect(targetOf(findById(without, "free-budget")!, "fallback")).toBe("end");
  });
  it("gives a new model an answer that leads to the end, and each element an id of its own", () => {
    const once = addElement(graph, "model");
    const twice = addElement(once.graph, "model");
    expect([idOf(once.element), idOf(twice.element)]).toEqual(["model", "model-2"]);
    expect(targetOf(once.element, "success")).toBe("end");
  });
  it("writes outputs in the order they are drawn", () => {
    const { graph: added, element } = addElement(read('{"name":"x","elements":[]}'), "rate");
    const target = addElement(added, "end");
    const linked = connect(connect(target.graph, element.key, "fallback", target.element.key), element.key, "success", target.element.key);
    expect(Object.keys(findById(linked, idOf(element))!.raw.outputs as object)).toEqual(["success", "fallback"]);
  });
  it("pastes copies that are linked among themselves and never a second start", () => {
    const clip = { elements: graph.elements.filter((element) => ["start", "free-requests", "free-budget"].includes(idOf(element))) };
    const { graph: next, pasted } = paste(graph, clip);
    expect(pasted.length).toBe(2);
    expect(targetOf(findById(next, "free-requests-2")!, "success")).toBe("free-budget-2");
    expect(targetOf(findById(next, "free-budget-2")!, "fallback")).toBe("end");
    expect(next.elements.filter((element) => element.raw.type === "start").length).toBe(1);
  });
  it("keeps what it does not know", () => {
    const strange = read('{"name":"x","note":1,"elements":[{"id":"a","type":"model","colour":"red","outputs":{"success":{"elementId":"b","weight":2}}},{"id":"b","type":"end"}]}');
    const renamed = serialise(setId(strange, "b", "c"));
    expect(JSON.parse(renamed)).toEqual({
      name: "x",
      elements: [
        { id: "a", type: "model", colour: "red", outputs: { success: { elementId: "c", weight: 2 } } },
        { id: "c", type: "end" },
      ],
      note: 1,
    });
  });
  it("keeps two elements of one id apart", () => {
    const twins = read('{"name":"x","elements":[{"id":"a","type":"end"},{"id":"a","type":"end"}]}');
    expect(new Set(twins.elements.map((element) => element.key)).size).toBe(2);
  });
});

describe("the JSON view", () => {
  const text = textOfFile("fallback-chain.json");
  it("shows the last graph while the text does not read, and says why", () => {
    const doc = openDocument(text, "");
    const broken = editText(doc, text.slice(0, 40));
    expect(broken.unreadable).toMatch(/^This is not JSON/);
    expect(broken.graph).toBe(doc.graph);
    expect(textOf(broken)).toBe(text.slice(0, 40));
    expect(editText(broken, text).unreadable).toBeUndefined();
  });
  it("keeps the author's own spelling until the graph is edited", () => {
    const compact = JSON.stringify(JSON.parse(text));
    const doc = editText(openDocument(text, ""), compact);
    expect(textOf(doc)).toBe(compact);
    expect(textOf(editGraph(doc, setProperty(doc.graph, "a", "retries", 2)))).toContain('\n  "name"');
  });
  it("does not count a move as an edit", () => {
    const doc = openDocument(text, "");
    expect(textOf(editGraph(doc, doc.graph, { ...doc.positions, a: { x: 9, y: 9 } }))).toBe(text);
  });
});

describe("the layered layout", () => {
  const graph = read(textOfFile("my-trillion-dollar-saas.json"));
  const at = layoutGraph(graph);
  const middle = (id: string) => at[id]!.x + nodeWidth(findById(graph, id)!) / 2;
  it("puts branches of equal depth on one level", () => {
    expect(at["free-requests"]!.y).toBe(at["paid-requests"]!.y);
    expect(at["free-budget"]!.y).toBe(at["paid-budget"]!.y);
  });
  it("puts what a limit leads to first straight below it, and a condition between its branches", () => {
    expect(middle("free-budget")).toBe(middle("free-requests"));
    expect(middle("free-model")).toBe(middle("free-requests"));
    expect(middle("paid-model")).toBe(middle("paid-requests"));
    expect(Math.abs(middle("plan") - (middle("free-requests") + middle("paid-requests")) / 2)).toBeLessThanOrEqual(1);
  });
});

describe("a line", () => {
  const block = { x: 0, y: 100, width: 200, height: 100 };
  const xs = (path: string) => [...path.matchAll(/(-?[\d.]+) -?[\d.]+/g)].map((found) => Number(found[1]));
  it("is a plain curve where nothing is in its way", () => {
    expect(linePath({ x: 300, y: 0 }, { x: 350, y: 400 }, [block])).toBe("M300 0C300 200 350 200 350 400");
  });
  it("passes a block on the nearer side", () => {
    expect(Math.min(...xs(linePath({ x: 40, y: 0 }, { x: 60, y: 400 }, [block])))).toBeLessThan(0);
    expect(Math.max(...xs(linePath({ x: 160, y: 0 }, { x: 140, y: 400 }, [block])))).toBeGreaterThan(200);
  });
  it("sees a small block on a long way", () => {
    expect(linePath({ x: 90, y: 0 }, { x: 100, y: 90_000 }, [{ x: 0, y: 40_000, width: 200, height: 30 }])).toContain("L");
  });
  it("goes up around both of its blocks", () => {
    const path = linePath({ x: 100, y: 205 }, { x: 100, y: 95 }, [block]);
    expect(Math.max(...xs(path)) > 200 || Math.min(...xs(path)) < 0).toBe(true);
  });
  it("runs through no block of the examples", () => {
    for (const name of kFiles) {
      const graph = read(textOfFile(name));
      const positions = layoutGraph(graph);
      const boxes = boxesOf(graph, positions).sort((a, b) => a.x - b.x);
      for (const { from, output, to } of edgesOf(graph)) {
        const source = boxes.find((box) => box.key === from)!;
        const target = boxes.find((box) => box.key === to)!;
        const outputs = shownOutputs(findById(graph, from)!);
        const start = { x: source.x + ((outputs.indexOf(output) + 0.5) / outputs.length) * source.width, y: source.y + source.height };
        const path = linePath(start, { x: target.x + target.width / 2, y: target.y }, boxes);
        const hit = pointsOf(path).flatMap((point) => boxes.filter((box) => box !== source && box !== target && overlap({ ...point, width: 0, height: 0 }, box)));
        expect(hit, `${output} of ${from} in ${name}`).toEqual([]);
      }
    }
  });
});

// Points along an SVG path of M, C and L.
function pointsOf(path: string): Position[] {
  const points: Position[] = [];
  let at: Position = { x: 0, y: 0 };
  for (const [, kind, text] of path.matchAll(/([MCL])([^MCL]+)/g)) {
    const numbers = text!.trim().split(" ").map(Number);
    const pairs = Array.from({ length: numbers.length / 2 }, (_, index) => ({ x: numbers[2 * index]!, y: numbers[2 * index + 1]! }));
    const to = pairs.at(-1)!;
    const [a, b] = kind === "C" ? [pairs[0]!, pairs[1]!] : [at, to];
    for (let step = 0; kind !== "M" && step <= 50; ++step) {
      const t = step / 50;
      const mix = (p: number, q: number, r: number, s: number) => p * (1 - t) ** 3 + 3 * q * t * (1 - t) ** 2 + 3 * r * t * t * (1 - t) + s * t ** 3;
      points.push({ x: mix(at.x, a.x, b.x, to.x), y: mix(at.y, a.y, b.y, to.y) });
    }
    at = to;
  }
  return points;
}
