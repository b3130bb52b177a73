import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function BuilderPage({ gateway }: PageProps) {
  return <Page title="Builder">{gateway}</Page>;
}
