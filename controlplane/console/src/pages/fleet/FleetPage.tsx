import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function FleetPage({ gateway }: PageProps) {
  return <Page title="Fleet">{gateway}</Page>;
}
