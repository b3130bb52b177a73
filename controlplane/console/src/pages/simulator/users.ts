// The two users of the simulator; what was typed lasts as long as the tab.
import { isObject, type JsonObject } from "@/graph/json";

export interface SimulatedUser {
  name: string;
  metadata: string;
  prompt: string;
}

const kPrompt = "Create a website for a software developer.";

export const kDefaultUsers: readonly SimulatedUser[] = [
  { name: "Free user", metadata: '{\n  "plan": "free",\n  "email": "free@example.com"\n}', prompt: kPrompt },
  { name: "Paid user", metadata: '{\n  "plan": "paid",\n  "email": "paid@example.com"\n}', prompt: kPrompt },
];

const kStorageKey = "signalbox.simulator";

export function loadUsers(): SimulatedUser[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(kStorageKey) ?? "null");
    if (Array.isArray(stored) && stored.length === kDefaultUsers.length) return stored as SimulatedUser[];
  } catch {
    // Refused or damaged storage: the defaults do.
  }
  return [...kDefaultUsers];
}

export function storeUsers(users: readonly SimulatedUser[]): void {
  try {
    sessionStorage.setItem(kStorageKey, JSON.stringify(users));
  } catch {
    // As above.
  }
}

export function metadataOf(user: SimulatedUser): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(user.metadata.trim() === "" ? "{}" : user.metadata);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

export const bodyOf = (user: SimulatedUser, model: string) => ({
  model,
  messages: [{ role: "user", content: user.prompt }],
  stream: true,
  stream_options: { include_usage: true },
});
