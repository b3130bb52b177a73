import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function DiffPage({ gateway }: PageProps) {
  return <Page title="Diff">{gateway}</Page>;
}
