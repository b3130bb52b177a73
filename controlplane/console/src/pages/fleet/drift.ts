// Whether a proxy runs what is published, and by how much it does not.
import type { ProxyStatus, SnapshotId } from "@/api/types";
import { big } from "@/ui/format";

export type FleetState = "sync" | "behind" | "rejected" | "away";

export function stateOf(proxy: ProxyStatus): FleetState {
  if (!proxy.connected) return "away";
  if (proxy.inSync) return "sync";
  return proxy.rejected.length > 0 ? "rejected" : "behind";
}

export function driftOf(proxy: ProxyStatus, published: SnapshotId | undefined): string {
  if (!proxy.applied || !published || proxy.inSync) return "";
  if (proxy.applied.lineage !== published.lineage) return "of another control plane";
  const behind = big(published.sequence) - big(proxy.applied.sequence);
  return behind === 0n ? "other content" : behind > 0n ? `${behind} behind` : `${-behind} ahead`;
}
