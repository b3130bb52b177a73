// One user's request through a proxy: the answer as it streams, what the headers say, and the spend record once the
// ledger has it.
import { useCallback, useEffect, useRef, useState } from "react";
import { routes as api, usage as usageApi } from "@/api/api";
import { ApiError, toError } from "@/api/http";
import { parseLimits, type LimitLeft } from "@/api/limitHeader";
import { events } from "@/api/sse";
import type { SpendRecord } from "@/api/types";

export interface LiveRun {
  state: "idle" | "running" | "done" | "failed";
  status?: number;
  text: string;
  error?: { code: string; message: string };
  model?: string;
  provider?: string;
  path?: string;
  version?: string;
  logId?: string;
  limits: LimitLeft[];
  retryAfterS?: number;
  firstTokenMs?: number;
  totalMs?: number;
  tokens?: { input: number; output: number };
  record?: SpendRecord;
}

const kIdle: LiveRun = { state: "idle", text: "", limits: [] };
const kRecordTries = 40;
const kRecordPauseMs = 500;

interface Chunk {
  choices?: { delta?: { content?: string | null }; message?: { content?: string | null } }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
  error?: { code?: string; message?: string };
}

const readHeaders = (response: Response): Partial<LiveRun> => ({
  status: response.status,
  model: response.headers.get("cf-aig-model") ?? undefined,
  provider: response.headers.get("cf-aig-provider") ?? undefined,
  path: response.headers.get("signalbox-path") ?? undefined,
  version: response.headers.get("signalbox-route") ?? undefined,
  logId: response.headers.get("cf-aig-log-id") ?? undefined,
  limits: parseLimits(response.headers.get("signalbox-limit")),
  retryAfterS: response.headers.has("retry-after") ? Number(response.headers.get("retry-after")) : undefined,
});

function absorb(run: LiveRun, chunk: Chunk, sinceMs: number): LiveRun {
  const piece = chunk.choices?.[0]?.delta?.content ?? chunk.choices?.[0]?.message?.content ?? "";
  const usage = chunk.usage;
  return {
    ...run,
    text: run.text + piece,
    firstTokenMs: run.firstTokenMs ?? (piece === "" ? undefined : sinceMs),
    tokens: usage ? { input: usage.prompt_tokens ?? 0, output: usage.completion_tokens ?? 0 } : run.tokens,
    error: chunk.error ? { code: chunk.error.code ?? "", message: chunk.error.message ?? "" } : run.error,
  };
}

function parseChunk(data: string): Chunk | null {
  if (data === "[DONE]") return null;
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    return null;
  }
}

// The record is there once the proxy has reported it and the ledger has taken it.
async function findRecord(gateway: string, id: string, signal: AbortSignal): Promise<SpendRecord | undefined> {
  for (let tries = 0; tries < kRecordTries && !signal.aborted; ++tries) {
    try {
      return await usageApi.request(gateway, id, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return undefined;
    }
    await new Promise((resolve) => setTimeout(resolve, kRecordPauseMs));
  }
  return undefined;
}

export function useLiveRun(gateway: string) {
  const [run, setRun] = useState<LiveRun>(kIdle);
  const current = useRef<AbortController | null>(null);
  useEffect(() => () => current.current?.abort(), []);

  const start = useCallback(
    async (body: object, metadata: object) => {
      current.current?.abort();
      const abort = new AbortController();
      current.current = abort;
      const began = performance.now();
      let now: LiveRun = { ...kIdle, state: "running" };
      const show = (next: LiveRun) => {
        now = next;
        if (!abort.signal.aborted) setRun(next);
      };
      show(now);
      try {
        const response = await api.live(gateway, { body, metadata }, abort.signal);
        show({ ...now, ...readHeaders(response) });
        const streamed = response.headers.get("content-type")?.includes("text/event-stream");
        if (response.ok && streamed && response.body) {
          for await (const data of events(response.body)) {
            const chunk = parseChunk(data);
            if (chunk) show(absorb(now, chunk, performance.now() - began));
          }
        } else if (response.ok) {
          show(absorb(now, (await response.json()) as Chunk, performance.now() - began));
        } else {
          const { code, message } = toError(response.status, await response.text());
          show({ ...now, error: { code, message } });
        }
        show({ ...now, state: response.ok && !now.error ? "done" : "failed", totalMs: performance.now() - began });
        if (now.logId) {
          const record = await findRecord(gateway, now.logId, abort.signal);
          if (record) show({ ...now, record });
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        const failure = error instanceof ApiError ? error : new ApiError(0, "", String(error));
        show({ ...now, state: "failed", error: { code: failure.code, message: failure.message }, totalMs: performance.now() - began });
      }
    },
    [gateway],
  );
  const stop = useCallback(() => {
    current.current?.abort();
    setRun((before) => (before.state === "running" ? { ...before, state: "done" } : before));
  }, []);
  return { run, start, stop };
}
