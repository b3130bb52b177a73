import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function VersionsPage({ gateway }: PageProps) {
  return <Page title="Versions">{gateway}</Page>;
}
