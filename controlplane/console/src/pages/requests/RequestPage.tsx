import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function RequestPage({ gateway }: PageProps) {
  return <Page title="Request">{gateway}</Page>;
}
