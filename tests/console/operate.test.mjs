// What operators change: keys, tokens, counters; and what they take away as CSV.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before } from "node:test";
import { ask, kConsole, newGateway } from "./api.mjs";
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
