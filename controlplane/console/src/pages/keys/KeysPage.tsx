import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function KeysPage({ gateway }: PageProps) {
  return <Page title="Keys">{gateway}</Page>;
}
