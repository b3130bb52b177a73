import { describe, expect, it } from "vitest";
import { parseLimits } from "./limitHeader";
import { events } from "./sse";

async function collect(pieces: string[]): Promise<string[]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
    },
  });
  const found: string[] = [];
  for await (const data of events(body)) found.push(data);
  return found;
}

describe("server-sent events", () => {
  it("come whole, however they were cut", async () => {
    const text = 'data: {"a":1}\n\n: a comment\n\ndata: {"b":"ü"}\r\n\r\ndata: [DONE]\n\n';
    const pieces = [...text].map(String);
    expect(await collect(pieces)).toEqual(['{"a":1}', '{"b":"ü"}', "[DONE]"]);
    expect(await collect([text])).toEqual(['{"a":1}', '{"b":"ü"}', "[DONE]"]);
  });
  it("end without a blank line", async () => expect(await collect(["data: last"])).toEqual(["last"]));
});

describe("the limit header", () => {
  it("tells each limit apart", () => {
    const header =
      "pool=3f%2C/budget; unit=usd; limit=5.000000000; remaining=4.999957250; reset=24098, pool=t; unit=tokens; limit=200000; remaining=0; reset=5311; shadow=denied";
    expect(parseLimits(header)).toEqual([
      { pool: "3f,/budget", unit: "usd", limit: 5, remaining: 4.99995725, resetS: 24098, shadow: undefined },
      { pool: "t", unit: "tokens", limit: 200000, remaining: 0, resetS: 5311, shadow: "denied" },
    ]);
    expect(parseLimits(null)).toEqual([]);
  });
});
