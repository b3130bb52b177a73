import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function BudgetsPage({ gateway }: PageProps) {
  return <Page title="Budgets">{gateway}</Page>;
}
