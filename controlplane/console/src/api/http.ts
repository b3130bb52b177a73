// One call of the control plane: the session cookie goes along by itself, changing calls carry the CSRF token, and what
// is not 2xx becomes an ApiError. `onSignedOut` hears of a session that ended while the console was open.
import type { Fault } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly faults: Fault[] = [],
    readonly param: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

type QueryValue = string | number | boolean | undefined | readonly string[];
export type Query = { [name: string]: QueryValue };

let csrf = "";
let onSignedOut: () => void = () => {};

export function setCsrf(token: string): void {
  csrf = token;
}

export function setOnSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

export function withQuery(path: string, query: object = {}): string {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(query as Query)) {
    if (value === undefined || value === "") continue;
    if (Array.isArray(value)) value.forEach((item: string) => fields.append(name, item));
    else fields.append(name, String(value));
  }
  const text = fields.toString();
  return text === "" ? path : `${path}?${text}`;
}

// The raw answer, for streams; throws ApiError only when nothing came at all.
export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrf !== "") headers["x-csrf-token"] = csrf;
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The control plane does not answer. Is it running, and is the network up?");
  }
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  const text = await response.text();
  if (!response.ok) {
    const error = toError(response.status, text);
    if (response.status === 401 && path !== "/session") onSignedOut();
    throw error;
  }
  return (text === "" ? {} : JSON.parse(text)) as T;
}

export function toError(status: number, text: string): ApiError {
  try {
    const { error, faults } = JSON.parse(text) as {
      error: { code?: string | null; message?: string; param?: string | null };
      faults?: Fault[];
    };
    return new ApiError(status, error.code ?? "", error.message ?? text, faults ?? [], error.param ?? null);
  } catch {
    return new ApiError(status, "", text.trim() === "" ? `The control plane answered with status ${status}.` : text);
  }
}
