// A provider as a form, and back. What has no field here (another kind's header) is kept as it was.
import type { ApplyProviderRequest, Provider } from "@/api/types";
import { pairsOf, recordOf, type Pair } from "@/ui/Pairs";

export const kKinds = [
  { value: "openai", label: "OpenAI", about: "Most providers and servers speak like it.", secretHint: "The API key. It is sealed; nobody can read it back.", options: "" },
  { value: "anthropic", label: "Anthropic", about: "The Messages API.", secretHint: "The API key. It is sealed; nobody can read it back.", options: "" },
  { value: "google", label: "Google", about: "Gemini's generateContent.", secretHint: "The API key. It is sealed; nobody can read it back.", options: "" },
  { value: "azure-openai", label: "Azure OpenAI", about: "Deployments of a resource; its base URL is needed.", secretHint: "The resource's key. It is sealed; nobody can read it back.", options: "api_version" },
  { value: "bedrock", label: "AWS Bedrock", about: "Converse, signed.", secretHint: "ID:SECRET or ID:SECRET:SESSION of an access key. It is sealed; nobody can read it back.", options: "region" },
];

export interface EndpointForm {
  name: string;
  baseUrl: string;
  weight: string;
  secret: string;
  hasSecret: boolean;
}
export interface ProviderForm {
  name: string;
  kind: string;
  baseUrl: string;
  secret: string;
  headers: Pair[];
  options: Pair[];
  endpoints: EndpointForm[];
  probe: boolean;
  probePath: string;
  probeSeconds: string;
}

export const emptyEndpoint = (): EndpointForm => ({ name: "", baseUrl: "", weight: "1", secret: "", hasSecret: false });

export function formOf(provider?: Provider): ProviderForm {
  return {
    name: provider?.name ?? "",
    kind: provider?.kind || "openai",
    baseUrl: provider?.baseUrl ?? "",
    secret: "",
    headers: pairsOf(provider?.headers),
    options: pairsOf(provider?.options),
    endpoints: (provider?.endpoints ?? []).map(({ name, baseUrl, weight, hasSecret }) => ({ name, baseUrl, weight: String(weight || 1), secret: "", hasSecret })),
    probe: provider?.healthCheck !== undefined,
    probePath: provider?.healthCheck?.path ?? "/models",
    probeSeconds: String(provider?.healthCheck?.intervalS ?? 30),
  };
}

const isWhole = (text: string) => /^\d{1,9}$/.test(text.trim());

// What keeps the form from being sent; empty: nothing. The server checks the rest.
export function wrongWith(form: ProviderForm): string {
  const names = form.endpoints.map((endpoint) => endpoint.name.trim());
  if (names.includes("")) return "Every endpoint needs a name.";
  if (new Set(names).size < names.length) return "Two endpoints have the same name.";
  if (form.endpoints.some((endpoint) => !isWhole(endpoint.weight))) return "A weight is a whole number from 1 to 1000.";
  if (form.probe && !isWhole(form.probeSeconds)) return "How often to probe is a whole number of seconds.";
  return "";
}

export function requestOf(form: ProviderForm): ApplyProviderRequest {
  const written = form.endpoints.filter((endpoint) => endpoint.secret !== "");
  return {
    provider: {
      kind: form.kind,
      baseUrl: form.baseUrl.trim(),
      headers: recordOf(form.headers),
      options: recordOf(form.options),
      endpoints: form.endpoints.map(({ name, baseUrl, weight }) => ({ name: name.trim(), baseUrl: baseUrl.trim(), weight: Number(weight) })) as Provider["endpoints"],
      healthCheck: form.probe ? { path: form.probePath.trim(), intervalS: Number(form.probeSeconds) } : undefined,
    },
    secret: form.secret === "" ? undefined : form.secret,
    endpointSecrets: Object.fromEntries(written.map((endpoint) => [endpoint.name.trim(), endpoint.secret])),
  };
}
