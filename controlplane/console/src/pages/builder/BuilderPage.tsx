// The flow builder of a route: the latest version, or the one that the address names.
import type { PageProps } from "@/app/pages";
import { useQueryState } from "@/app/useQueryState";
import { WithData } from "@/ui/States";
import { useRoute, useVersion } from "../route/useRoute";
import { Builder } from "./Builder";

export default function BuilderPage({ gateway, params }: PageProps) {
  const name = params.route ?? "";
  const [wanted] = useQueryState("version");
  const route = useRoute(gateway, name);
  const version = useVersion(gateway, name, wanted || "0");
  return (
    <WithData data={route} what="the route">
      {(current) => (
        <WithData data={version} what="the version">
          {(opened) => <Builder key={`${current.id}/${wanted}`} gateway={gateway} route={current} version={opened} resume={wanted === ""} />}
        </WithData>
      )}
    </WithData>
  );
}
