import { routes as api } from "@/api/api";
import type { Route } from "@/api/types";
import { useRefresh } from "@/api/useApi";
import { useConfirm } from "@/ui/Confirm";
import { useToast } from "@/ui/Toast";

// Asks, and deletes. Resolves to whether the route is gone.
export function useDeleteRoute(gateway: string): (route: Route) => Promise<boolean> {
  const confirm = useConfirm();
  const refresh = useRefresh();
  const toast = useToast();
  return async (route) => {
    const serves = route.deployedVersion !== "0";
    const yes = await confirm({
      title: `Delete ${route.name}?`,
      body: serves
        ? "It serves requests now: from the moment it is deleted they are answered with 404. The name becomes free; the versions and counters do not come back."
        : "It serves nothing. The name becomes free; the versions do not come back.",
      action: "Delete the route",
      danger: true,
    });
    if (!yes) return false;
    try {
      await api.remove(gateway, route.name, route.etag);
      await refresh(["routes", gateway]);
      toast.say(`${route.name} was deleted.`);
      return true;
    } catch (error) {
      toast.fail(error);
      return false;
    }
  };
}
