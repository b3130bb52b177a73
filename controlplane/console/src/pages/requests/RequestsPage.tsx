import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function RequestsPage({ gateway }: PageProps) {
  return <Page title="Requests">{gateway}</Page>;
}
