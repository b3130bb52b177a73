import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function AuditPage({ gateway }: PageProps) {
  return <Page title="Audit">{gateway}</Page>;
}
