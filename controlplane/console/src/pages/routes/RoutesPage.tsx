import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function RoutesPage({ gateway }: PageProps) {
  return <Page title="Routes">{gateway}</Page>;
}
