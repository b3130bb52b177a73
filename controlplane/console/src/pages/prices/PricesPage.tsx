import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function PricesPage({ gateway }: PageProps) {
  return <Page title="Prices">{gateway}</Page>;
}
