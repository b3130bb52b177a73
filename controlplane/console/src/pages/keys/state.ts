import type { GatewayKey } from "@/api/types";

export type KeyState = "active" | "expired" | "revoked";

export function stateOf(key: GatewayKey, nowMs: number): KeyState {
  if (key.revokeTime) return "revoked";
  return key.expireTime && Date.parse(key.expireTime) <= nowMs ? "expired" : "active";
}

// What is wrong with metadata to pin; empty: nothing.
export function wrongMetadata(text: string): string {
  if (text.trim() === "") return "";
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? "" : "It must be an object, like {\"plan\":\"free\"}.";
  } catch {
    return "It is not JSON, which looks like {\"plan\":\"free\"}.";
  }
}
