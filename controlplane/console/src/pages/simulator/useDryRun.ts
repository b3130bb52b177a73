// What the server says of one user's request, asked again a moment after anything about it changed.
import { useEffect, useState } from "react";
import { routes as api } from "@/api/api";
import type { SimulateRequest, SimulateResponse } from "@/api/types";

const kQuietMs = 350;

export interface DryRun {
  answer?: SimulateResponse;
  error?: unknown;
  stale: boolean;
}

// `request` is null while it cannot be asked (metadata that is no JSON).
export function useDryRun(gateway: string, routeId: string, request: SimulateRequest | null): DryRun {
  const [run, setRun] = useState<DryRun & { of: string }>({ stale: true, of: "" });
  const key = request === null ? "" : JSON.stringify(request);
  useEffect(() => {
    if (key === "") return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await api.simulate(gateway, routeId, JSON.parse(key) as SimulateRequest, abort.signal);
        setRun({ answer, stale: false, of: key });
      } catch (error) {
        if (!abort.signal.aborted) setRun({ error, stale: false, of: key });
      }
    }, kQuietMs);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [gateway, key, routeId]);
  return { ...run, stale: run.of !== key };
}
