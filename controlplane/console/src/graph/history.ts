// Undo and redo over immutable values. Consecutive edits with the same `group` (typing into one field) are one step.
export interface History<T> {
  past: readonly T[];
  present: T;
  future: readonly T[];
  group: string | null;
}

const kStepsMax = 200;

export const startHistory = <T>(present: T): History<T> => ({ past: [], present, future: [], group: null });

export function record<T>(history: History<T>, next: T, group: string | null = null): History<T> {
  if (Object.is(next, history.present)) return history;
  if (group !== null && group === history.group) return { ...history, present: next, future: [] };
  return { past: [...history.past, history.present].slice(-kStepsMax), present: next, future: [], group };
}

// The present changes without a step: what is not the author's doing.
export const amend = <T>(history: History<T>, present: T): History<T> => ({ ...history, present });

export function undo<T>(history: History<T>): History<T> {
  const last = history.past.at(-1);
  if (last === undefined) return history;
  return { past: history.past.slice(0, -1), present: last, future: [history.present, ...history.future], group: null };
}

export function redo<T>(history: History<T>): History<T> {
  const [next, ...future] = history.future;
  if (next === undefined) return history;
  return { past: [...history.past, history.present], present: next, future, group: null };
}

export const seal = <T>(history: History<T>): History<T> => ({ ...history, group: null });
