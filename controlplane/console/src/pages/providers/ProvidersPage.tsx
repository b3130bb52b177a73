import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function ProvidersPage({ gateway }: PageProps) {
  return <Page title="Providers">{gateway}</Page>;
}
