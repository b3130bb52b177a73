import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function SimulatorPage({ gateway }: PageProps) {
  return <Page title="Simulator">{gateway}</Page>;
}
