import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function CountersPage({ gateway }: PageProps) {
  return <Page title="Counters">{gateway}</Page>;
}
