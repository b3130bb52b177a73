import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function TokensPage({ gateway }: PageProps) {
  return <Page title="Tokens">{gateway}</Page>;
}
