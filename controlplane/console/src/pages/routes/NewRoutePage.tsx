import type { PageProps } from "@/app/pages";
import { Page } from "@/ui/Page";

export default function NewRoutePage({ gateway }: PageProps) {
  return <Page title="NewRoute">{gateway}</Page>;
}
