// The control plane's JSON API and a proxy, for what a test prepares or checks beside the browser.
import { readFile } from "node:fs/promises";
import { eventually } from "./eventually.mjs";

const kEnvironment = ["SIGNALBOX_CONSOLE", "SIGNALBOX_ADMIN_TOKEN", "SIGNALBOX_PROXIES", "SIGNALBOX_PROVIDER", "SIGNALBOX_PROVIDER_KEY"];
for (const name of kEnvironment) if (!process.env[name]) throw new Error(`${name} is not set: run this through tests/console/run`);

export const kConsole = process.env.SIGNALBOX_CONSOLE;
export const kAdminToken = process.env.SIGNALBOX_ADMIN_TOKEN;
export const kProxies = process.env.SIGNALBOX_PROXIES.split(" ");
const kRoutes = new URL("../routes/valid/", import.meta.url);

export const exampleText = (name) => readFile(new URL(`../../deploy/examples/${name}.json`, import.meta.url), "utf8");
export const kRoutesFolder = kRoutes;

export async function ask(method, path, body) {
  const answer = await fetch(kConsole + path, {
    method,
    headers: { authorization: `Bearer ${kAdminToken}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

const of = (gateway) => `/v1/gateways/${encodeURIComponent(gateway)}`;

// A gateway of its own for a test, with the simulated providers that the examples name.
export async function newGateway(name) {
  await ask("POST", "/v1/gateways", { name });
  await addProviders(name);
}

export async function addProviders(gateway) {
  const baseUrl = `${process.env.SIGNALBOX_PROVIDER}/v1`;
  for (const name of ["openai", "anthropic"]) {
    await ask("PUT", `${of(gateway)}/providers/${name}`, { provider: { kind: "openai", baseUrl }, secret: process.env.SIGNALBOX_PROVIDER_KEY });
  }
}

export const createRoute = (gateway, json) => ask("POST", `${of(gateway)}/routes`, { json, allowDraft: true });
export const getRoute = (gateway, name) => ask("GET", `${of(gateway)}/routes/${encodeURIComponent(name)}`);
export const getVersion = (gateway, name, number = "0") => ask("GET", `${of(gateway)}/routes/${encodeURIComponent(name)}/versions/${number}`);
export const saveVersion = (gateway, route, json, comment = "") => ask("POST", `${of(gateway)}/routes/${route.id}/versions`, { json, comment, allowDraft: true });
export const deploy = (gateway, name, version) => ask("POST", `${of(gateway)}/routes/${encodeURIComponent(name)}:deploy`, { version });
export const createToken = async (role, displayName) => (await ask("POST", "/v1/tokens", { role, displayName })).secret;
export const createKey = async (gateway, displayName) => (await ask("POST", `${of(gateway)}/keys`, { displayName })).secret;

export const inSync = () =>
  eventually("every proxy to run the newest snapshot", async () => {
    const { proxies } = await ask("GET", "/v1/proxies");
    return proxies.every((proxy) => !proxy.connected || proxy.inSync) && proxies.filter((proxy) => proxy.connected).length === kProxies.length;
  });

export function chat(key, { route, metadata, proxy = 0, gateway = "default", ...body }) {
  const path = gateway === "default" ? "/v1/chat/completions" : `/v1/console/${gateway}/compat/chat/completions`;
  return fetch(kProxies[proxy] + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "cf-aig-metadata": JSON.stringify(metadata) },
    body: JSON.stringify({ model: `dynamic/${route}`, messages: [{ role: "user", content: "Describe my new website" }], ...body }),
  });
}
