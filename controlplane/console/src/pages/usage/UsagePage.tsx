import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function UsagePage({ gateway }: PageProps) {
  return <Page title="Usage">{gateway}</Page>;
}
