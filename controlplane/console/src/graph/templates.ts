// Routes to begin with: the repository's examples, under the name that the author gives.
import canary from "../../../../deploy/examples/canary-split.json?raw";
import fallback from "../../../../deploy/examples/fallback-chain.json?raw";
import freePaid from "../../../../deploy/examples/my-trillion-dollar-saas.json?raw";
import downgrade from "../../../../deploy/examples/over-budget-downgrade.json?raw";
import { parseGraph, serialise } from "./model";

const kEmpty = JSON.stringify({
  name: "empty",
  elements: [
    { id: "start", type: "start", outputs: { next: { elementId: "end" } } },
    { id: "end", type: "end", outputs: {} },
  ],
});

export interface Template {
  id: string;
  label: string;
  about: string;
  json: string;
}

export const kTemplates: readonly Template[] = [
  { id: "empty", label: "Empty", about: "A start and an end. Draw the rest yourself.", json: kEmpty },
  {
    id: "free-paid",
    label: "Free and paid",
    about: "Free users get a small model, ten requests and ten dollars a day; paid users a better one and higher limits.",
    json: freePaid,
  },
  {
    id: "canary",
    label: "Canary",
    about: "A tenth of the users get the new model, always the same ones; it falls back to the old.",
    json: canary,
  },
  {
    id: "fallback",
    label: "Fallback chain",
    about: "Three models in turn, the next when one fails or is slow to begin.",
    json: fallback,
  },
  {
    id: "downgrade",
    label: "Budget downgrade",
    about: "A team's dollars for 30 days; once they are spent, a smaller model with a limit of its own.",
    json: downgrade,
  },
];

export function fromTemplate(template: Template, name: string): string {
  const { graph } = parseGraph(template.json);
  return graph ? serialise({ ...graph, name }) : template.json;
}
