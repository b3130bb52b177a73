// Edits of a condition tree; `path` is the way of indices from the root.
import type { Condition, Group } from "./condition";

export type Path = readonly number[];

export function updateAt(root: Group, path: Path, change: (condition: Condition) => Condition | null): Group {
  const [index, ...rest] = path;
  if (index === undefined) {
    const next = change(root);
    return next?.kind === "group" ? next : root;
  }
  const items = root.items.flatMap((item, at): Condition[] => {
    if (at !== index) return [item];
    if (rest.length > 0) return item.kind === "group" ? [updateAt(item, rest, change)] : [item];
    const next = change(item);
    return next === null ? [] : [next];
  });
  return { ...root, items };
}

export const removeAt = (root: Group, path: Path): Group => updateAt(root, path, () => null);

export const addTo = (root: Group, path: Path, added: Condition): Group =>
  updateAt(root, path, (group) => (group.kind === "group" ? { ...group, items: [...group.items, added] } : group));

// How a group joins what is in it. "all" of a group in a group has to be spelled out to stay a group.
export const joinBy = (root: Group, path: Path, join: Group["join"]): Group =>
  updateAt(root, path, (group) =>
    group.kind === "group"
      ? { kind: "group", join, items: group.items, ...(join === "all" && path.length > 0 ? { written: "$and" as const } : {}) }
      : group,
  );
