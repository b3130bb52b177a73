// What operators change: providers, prices, keys, tokens, counters; and what they take away as CSV.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before } from "node:test";
import { ask, chat, createKey, inSync, kConsole, newGateway } from "./api.mjs";
import { eventually } from "./eventually.mjs";
import { fill, kFilledRoute } from "./pages.mjs";
import { openConsole, test } from "./testing.mjs";

const kGateway = "operate";

before(async () => {
  await newGateway(kGateway);
  await fill(kGateway);
});

const open = async (name) => {
  const page = await openConsole();
  await page.goto(`${kConsole}/g/${kGateway}/${name}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  return page;
};

const confirm = (page, title, action) => page.getByRole("dialog", { name: title }).getByRole("button", { name: action, exact: true }).click();

test("a provider is added with its secret, changed without it, and serves", async () => {
  const page = await open("providers");
  await page.getByRole("button", { name: "Add a provider" }).click();
  const add = page.getByRole("dialog", { name: "Add a provider" });
  await add.getByLabel("Name", { exact: true }).fill("inhouse");
  await add.getByLabel(/^Base URL/).fill(`${process.env.SIGNALBOX_PROVIDER}/v1`);
  await add.getByLabel(/^Secret/).fill(process.env.SIGNALBOX_PROVIDER_KEY);
  await add.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("inhouse is added.").waitFor();
  await page.getByRole("button", { name: "Change inhouse" }).click();
  const change = page.getByRole("dialog", { name: "Change inhouse" });
  assert.equal(await change.getByLabel(/^Secret/).inputValue(), "", "a secret is written, never read");
  await change.getByRole("button", { name: "Add an endpoint" }).click();
  await change.getByRole("button", { name: "Save", exact: true }).click();
  await change.getByRole("alert").filter({ hasText: "Every endpoint needs a name." }).waitFor();
  await change.getByLabel("Name of endpoint 1").fill("a");
  await change.getByLabel("Weight").fill("3");
  await change.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("inhouse is changed; the proxies have it.").waitFor();
  const { providers } = await ask("GET", `/v1/gateways/${kGateway}/providers`);
  const saved = providers.find(({ name }) => name === "inhouse");
  assert.equal(saved.baseUrl, `${process.env.SIGNALBOX_PROVIDER}/v1`);
  assert.equal(saved.hasSecret, true);
  assert.deepEqual(saved.endpoints.map(({ name, weight }) => [name, weight]), [["a", 3]]);
  const answer = await plainChat("inhouse/gpt-4o-mini");
  assert.equal(answer.status, 200, await answer.text());
});

test("a price set here is what requests are charged from then on", async () => {
  const page = await open("prices?q=gpt-4o-mini&provider=openai");
  await page.getByRole("button", { name: "Override the price of openai/gpt-4o-mini", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Override openai/gpt-4o-mini" });
  await dialog.getByLabel("Input", { exact: true }).fill("a lot");
  await dialog.getByText("Dollars, at most nine decimals.").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Set", exact: true }).isDisabled());
  await dialog.getByLabel("Input", { exact: true }).fill("30");
  await dialog.getByLabel("Output", { exact: true }).fill("60.5");
  await dialog.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByText("The price of openai/gpt-4o-mini is set.").waitFor();
  await page.getByRole("row", { name: /gpt-4o-mini.*\$30\.00.*\$60\.50/ }).first().waitFor();
  const answer = await plainChat("openai/gpt-4o-mini");
  assert.equal(answer.status, 200, await answer.text());
  const id = answer.headers.get("cf-aig-log-id");
  const record = await eventually("the ledger to hold the request", () => ask("GET", `/v1/gateways/${kGateway}/requests/${id}`));
  const { input, output, cachedInput } = record.usage;
  assert.equal(cachedInput, "0");
  assert.equal(BigInt(record.costNanos), BigInt(input) * 30_000n + BigInt(output) * 60_500n);
});

// A call of one model, without a route.
async function plainChat(model) {
  const key = await createKey(kGateway, model);
  await inSync();
  return chat(key, { gateway: kGateway, model, metadata: {} });
}

test("a key is made, shown once, and revoked", async () => {
  const page = await open("keys");
  await page.getByRole("button", { name: "Create a key" }).click();
  const dialog = page.getByRole("dialog", { name: "Create a key" });
  await dialog.getByLabel("Name").fill("from the console");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  const made = page.getByRole("dialog", { name: "from the console is made" });
  const secret = /sbx_\w+/.exec(await made.innerText())?.[0];
  assert.ok(secret, "the key's text is shown");
  await made.getByRole("button", { name: /I have copied/ }).click();
  await page.getByRole("button", { name: "Revoke from the console" }).click();
  await confirm(page, "Revoke from the console?", "Revoke");
  await page.getByText("from the console is revoked.").waitFor();
  assert.ok(!(await page.content()).includes(secret), "the key's text is nowhere any more");
  const { keys } = await ask("GET", `/v1/gateways/${kGateway}/keys`);
  assert.ok(keys.find((key) => key.displayName === "from the console").revokeTime);
});

test("a token is made with its role, opens a session, and is revoked", async () => {
  const page = await open("tokens");
  await page.getByRole("button", { name: "Create a token" }).click();
  const dialog = page.getByRole("dialog", { name: "Create a token" });
  await dialog.getByLabel("Name").fill("an editor of the test");
  await dialog.getByLabel("Role").selectOption("editor");
  await dialog.getByRole("button", { name: "Create", exact: true }).click();
  const made = page.getByRole("dialog", { name: "A token for an editor of the test" });
  const token = /sbt_\w+/.exec(await made.innerText())?.[0];
  await made.getByRole("button", { name: /I have copied/ }).click();
  const session = await fetch(`${kConsole}/session`, { method: "POST", body: JSON.stringify({ token }) });
  assert.equal((await session.json()).role, "editor");
  await page.getByRole("button", { name: "Revoke an editor of the test" }).click();
  await confirm(page, "Revoke an editor of the test?", "Revoke");
  await page.getByText("an editor of the test is revoked.").waitFor();
  assert.equal((await fetch(`${kConsole}/session`, { method: "POST", body: JSON.stringify({ token }) })).status, 401);
});

test("a counter is reset with its reason, and its owner may go on", async () => {
  const page = await open(`counters?identifier=ann%40example.com`);
  const limits = page.getByLabel("Limit", { exact: true });
  await limits.selectOption(await limits.locator("option", { hasText: "free-requests" }).getAttribute("value"));
  await page.getByRole("button", { name: "Reset ann@example.com" }).click();
  const dialog = page.getByRole("dialog", { name: "Reset ann@example.com?" });
  await dialog.getByLabel("Why").fill("refund of the test");
  await dialog.getByRole("button", { name: "Reset", exact: true }).click();
  await page.getByText("refund of the test").waitFor();
  const { counter } = await ask("GET", `/v1/gateways/${kGateway}/counter?route=${kFilledRoute}&element=free-requests&identifier=ann@example.com`);
  assert.equal(counter.settled, "0");
});

test("a counter is adjusted to the nano-dollar, once, with its reason", async () => {
  const selector = `route=${kFilledRoute}&element=paid-budget&identifier=user-0@example.com`;
  const settled = async () => BigInt((await ask("GET", `/v1/gateways/${kGateway}/counter?${selector}`)).counter.settled);
  const before = await settled();
  const page = await open(`counters?route=${kFilledRoute}&element=paid-budget&identifier=user-0%40example.com`);
  await page.getByRole("button", { name: "Adjust user-0@example.com" }).click();
  const dialog = page.getByRole("dialog", { name: "Adjust user-0@example.com" });
  const adjust = dialog.getByRole("button", { name: "Adjust", exact: true });
  await dialog.getByLabel("Dollars to add").fill("1.0000000001");
  await dialog.getByText("A number of dollars, with at most nine decimals.").waitFor();
  await dialog.getByLabel("Dollars to add").fill("1.250000001");
  assert.ok(await adjust.isDisabled(), "without a reason");
  await dialog.getByLabel("Why").fill("a trial was not counted");
  await adjust.click();
  await page.getByText("user-0@example.com now has $1.25 used.").waitFor();
  await page.getByRole("row", { name: /\+\$1\.25.*a trial was not counted/ }).waitFor();
  assert.equal(await settled(), before + 1_250_000_001n);
});

test("limits that come in several pages are all shown", async () => {
  const { limits } = await ask("GET", `/v1/gateways/${kGateway}/limits`);
  assert.ok(limits.length >= 4, `${limits.length} limits`);
  const page = await openConsole();
  let asked = 0;
  await page.route("**/limits?*", (route) => {
    const url = new URL(route.request().url());
    url.searchParams.set("pageSize", "1");
    ++asked;
    return route.continue({ url: url.href });
  });
  await page.goto(`${kConsole}/g/${kGateway}/budgets`);
  for (const { elementId } of limits) await page.getByRole("link", { name: elementId, exact: true }).waitFor();
  assert.ok(asked >= limits.length, `${asked} pages`);
  await page.goto(`${kConsole}/g/${kGateway}/counters`);
  const choices = page.getByLabel("Limit", { exact: true }).locator("option");
  await choices.first().waitFor({ state: "attached" });
  assert.equal(await choices.count(), limits.length);
});

test("usage of the last hour comes as CSV, to the nano-dollar", async () => {
  const page = await open("usage");
  await page.getByRole("button", { name: "1 h", exact: true }).click();
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV", exact: true }).click();
  const text = await readFile(await (await coming).path(), "utf8");
  const { rows } = await ask("GET", `/v1/gateways/${kGateway}/usage?by=minute`);
  const nanos = rows.reduce((sum, row) => sum + BigInt(row.costNanos), 0n);
  const [head, ...lines] = text.trim().split(/\r?\n/);
  const column = head.split(",").findIndex((name) => /cost|spend|dollar/i.test(name));
  const total = lines.reduce((sum, line) => {
    const [whole, part = ""] = line.split(",")[column].replace(/["$]/g, "").split(".");
    return sum + BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, "0"));
  }, 0n);
  assert.equal(total, nanos, text.slice(0, 400));
});
