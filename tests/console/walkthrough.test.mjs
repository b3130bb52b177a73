// The walkthrough, as a newcomer does it: a route from an empty canvas to serving, and what it then does to two users.
import assert from "node:assert/strict";
import { before } from "node:test";
import { addProviders, ask, chat, createKey, createToken, exampleText, getVersion, inSync, kConsole, kProxies } from "./api.mjs";
import { signIn } from "./browser.mjs";
import { Builder } from "./builder.mjs";
import { eventually } from "./eventually.mjs";
import { openConsole, openContext, test } from "./testing.mjs";

const kRoute = "my-trillion-dollar-saas";
const kWalkthroughLimit = 10;
const kDesk = { viewport: { width: 1920, height: 1200 } };

before(() => addProviders("default"));

test("a route is drawn, mended, deployed, tried, exhausted, changed, compared and rolled back", async (t) => {
  const page = await openConsole(kDesk);
  const builder = await newRoute(page);
  await t.test("draws the route from an empty canvas", () => draw(builder));
  await t.test("sees a fault on its element and mends it", () => seeAndMend(builder));
  await t.test("saves and deploys; two proxies take it", async () => {
    await builder.save("the walkthrough");
    const { elements } = JSON.parse((await getVersion("default", kRoute)).json);
    assert.deepEqual(byId(elements), byId(JSON.parse(await exampleText(kRoute)).elements));
    await builder.button("Deploy").click();
    await confirmDeployment(page, "Deploy version 2", "Deploy");
    await inSync();
  });
  await t.test("simulates both users, dry and live", () => simulate(page));
  await t.test("exhausts the free user's limit and opens the refused request", () => exhaust(page));
  await t.test("changes the route, compares, deploys, rolls back", () => changeAndRollBack(page));
  await t.test("signs out", async () => {
    await builder.button("Sign out").click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.goto(`${kConsole}/g/default/usage`);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });
});

const byId = (elements) => Object.fromEntries(elements.map((element) => [element.id, element]));

async function newRoute(page) {
  await page.getByRole("link", { name: "New route" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill(kRoute);
  await page.getByRole("button", { name: "Create the route" }).click();
  const builder = new Builder(page);
  await builder.element("end").waitFor();
  return builder;
}

async function draw(builder) {
  const { page } = builder;
  await builder.canvas.click({ position: { x: 300, y: 8 } });
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => document.querySelectorAll("[data-element]").length === 0);
  const add = async (type, id, x, y) => {
    await builder.drop(type, x, y);
    await builder.rename(id);
  };
  await add("start", "start", 0.4, 0.07);
  await add("end", "end", 0.4, 0.87);
  await add("conditional", "plan", 0.4, 0.18);
  for (const [plan, x, requests, dollars, model, timeout] of [
    ["free", 0.15, kWalkthroughLimit, 10, "gpt-4o-mini", 60_000],
    ["paid", 0.65, 1000, 100, "gpt-5.1", 180_000],
  ]) {
    await add("rate", `${plan}-requests`, x, 0.35);
    await builder.fill("Limit", requests);
    await add("rate", `${plan}-budget`, x, 0.52);
    await builder.choose("of", "cost");
    await builder.fill("Limit in $", dollars);
    await add("model", `${plan}-model`, x, 0.69);
    await builder.fill("Model", model);
    await builder.fill("Timeout, ms optional", timeout);
    await builder.fill("Retries optional", 2);
    await builder.connect(`${plan}-requests`, "success", `${plan}-budget`);
    await builder.connect(`${plan}-budget`, "success", `${plan}-model`);
    await builder.connect(`${plan}-requests`, "fallback", "end");
    await builder.connect(`${plan}-budget`, "fallback", "end");
    await builder.connect(`${plan}-model`, "success", "end");
  }
  await builder.connect("start", "next", "plan");
  await builder.connect("plan", "true", "free-requests");
  await builder.connect("plan", "false", "paid-requests");
  await builder.connect("free-model", "fallback", "end");
  await builder.connect("paid-model", "fallback", "free-model");
  await validation(builder, "no faults");
}

const validation = (builder, text) => builder.status.filter({ hasText: text }).waitFor();

async function seeAndMend(builder) {
  await builder.select("free-requests");
  await builder.fill("Limit", -5);
  await validation(builder, "1 fault");
  await builder.element("free-requests").getByText("faults").waitFor({ state: "attached" });
  await builder.details.getByRole("button", { name: "Faults 1" }).click();
  await builder.details.getByRole("button", { name: /free-requests/ }).click();
  await builder.fill("Limit", kWalkthroughLimit);
  await validation(builder, "no faults");
}

async function confirmDeployment(page, title, action) {
  const dialog = page.getByRole("dialog", { name: title });
  await dialog.getByRole("button", { name: action, exact: true }).click();
  const progress = page.getByRole("dialog", { name: /is deployed$/ });
  await progress.getByText(`${kProxies.length} of ${kProxies.length} proxies serve it`).waitFor();
  assert.equal(await progress.locator('[data-state="applied"]').count(), kProxies.length);
  await progress.getByRole("button", { name: "Done" }).click();
}

async function simulate(page) {
  await page.getByRole("link", { name: "Simulator" }).click();
  const free = page.getByRole("region", { name: "Free user", exact: true });
  const paid = page.getByRole("region", { name: "Paid user", exact: true });
  await free.getByText("openai/gpt-4o-mini").first().waitFor();
  await paid.getByText("openai/gpt-5.1").first().waitFor();
  const steps = await free.getByRole("list", { name: "Steps" }).getByRole("button").allInnerTexts();
  assert.deepEqual(steps.map((step) => /(start|plan|free-requests|free-budget|free-model|end)/.exec(step)?.[1]), [
    "start", "plan", "free-requests", "free-budget", "free-model", "end",
  ]);
  assert.match(steps.join("\n"), /holds \$/);
  await page.getByRole("button", { name: "Run both live" }).click();
  for (const [user, model] of [[free, "openai/gpt-4o-mini"], [paid, "openai/gpt-5.1"]]) {
    await user.getByRole("link", { name: "Open the request" }).waitFor();
    await fact(user, "Model", model);
    await fact(user, "Cost", /^\$0\.0*[1-9]/);
    await user.getByText(/requests of .* left|of .* requests left/).first().waitFor();
    assert.notEqual(await user.getByRole("region", { name: "The answer" }).innerText(), "");
    // The graph now shows the way that the live run took, and on demand again what the dry run told.
    await user.getByRole("button", { name: "Live run", pressed: true }).waitFor();
    await user.getByRole("list", { name: "Steps" }).getByText(`${model}: 200 in`).waitFor();
    await lit(user, await user.getByRole("list", { name: "Steps" }).locator("strong").allInnerTexts());
    await user.getByRole("button", { name: "Dry run" }).click();
    await user.getByText(`${model} answers`).first().waitFor();
  }
}

// Until the graph of a column numbers these elements, in that order.
const lit = (user, ids) =>
  eventually(`${ids} to be lit`, async () => {
    const nodes = await user.locator("[data-element]").evaluateAll((all) => all.map((node) => [node.dataset.element, /step (\d+)/.exec(node.textContent)?.[1]]));
    const found = nodes.filter(([, step]) => step).sort(([, a], [, b]) => a - b).map(([id]) => id);
    return found.join() === ids.join() || (await Promise.reject(new Error(`${nodes.length} elements, lit are ${found}: ${await user.innerText()}`)));
  });

const fact = (scope, name, value) =>
  scope.locator("div", { has: scope.page().locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").filter({ hasText: value }).first().waitFor();

async function exhaust(page) {
  const key = await createKey("default", "the walkthrough's application");
  await inSync();
  const metadata = { plan: "free", email: "free@example.com" };
  // One was the live run's; the rest come over both proxies.
  for (let count = 1; count < kWalkthroughLimit; ++count) {
    const answer = await chat(key, { route: kRoute, metadata, proxy: count % kProxies.length });
    assert.equal(answer.status, 200, await answer.text());
  }
  const free = page.getByRole("region", { name: "Free user", exact: true });
  await free.getByRole("button", { name: "Run live as Free user" }).click();
  await free.getByRole("alert").filter({ hasText: "429" }).waitFor();
  await free.getByRole("link", { name: "Open the request" }).waitFor();
  await fact(free, "Cost", /^\$0/);
  await lit(free, ["start", "plan", "free-requests", "end"]);
  await free.getByRole("link", { name: "Open the request" }).click();
  const path = page.getByRole("region", { name: "Path" });
  await path.getByText("free-requests").waitFor();
  assert.deepEqual(await path.getByRole("link").allInnerTexts(), ["start", "plan", "free-requests", "end"]);
  await page.getByText("refused").first().waitFor();
}

async function changeAndRollBack(page) {
  const builder = await Builder.open(page, "default", kRoute);
  await builder.select("free-model");
  await builder.fill("Model", "gpt-4.1-mini");
  await validation(builder, "no faults");
  await builder.save("a newer small model");
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("link", { name: "Compare version 3 with what serves" }).click();
  await page.getByText("1 changed").waitFor();
  const changes = page.getByRole("region", { name: "Changes" });
  await changes.getByText("gpt-4.1-mini").waitFor();
  assert.match(await changes.innerText(), /free-model[\s\S]*gpt-4o-mini/);
  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("button", { name: "Deploy version 3" }).click();
  await confirmDeployment(page, "Deploy version 3", "Deploy");
  await page.getByText("v3 serves").waitFor();
  await page.getByRole("button", { name: "Roll back to v2" }).click();
  await confirmDeployment(page, "Roll back to version 2?", "Roll back");
  await page.getByText("v2 serves").waitFor();
}

test("a viewer sees everything and may deploy nothing", async () => {
  const name = "seen-by-a-viewer";
  const json = (await exampleText("fallback-chain")).replace(/"name": *"[^"]*"/, `"name": "${name}"`);
  await ask("POST", "/v1/gateways/default/routes", { json, allowDraft: true });
  const context = await openContext();
  const page = await context.newPage();
  await signIn(page, await createToken("viewer", "a viewer"));
  const builder = await Builder.open(page, "default", name);
  assert.ok(await builder.button("Deploy").isDisabled());
  assert.ok(await builder.button("Save").isDisabled());
  assert.equal(await page.locator("[data-block]").count(), 0);
  await page.getByRole("link", { name: "Versions" }).click();
  assert.ok(await page.getByRole("button", { name: "Deploy version 1" }).isDisabled());
  // Nor does the server do it for a page that asks all the same.
  const { status, text } = await page.evaluate(async (route) => {
    const { csrf } = await (await fetch("/session")).json();
    const answer = await fetch(`/v1/gateways/default/routes/${route}:deploy`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": csrf },
      body: "{}",
    });
    return { status: answer.status, text: await answer.text() };
  }, name);
  assert.equal(status, 403);
  assert.match(text, /deployer/);
});

test("a call from another site's page, without the token against forgery, is refused", async () => {
  const page = await openConsole();
  const status = await page.evaluate(async () => (await fetch("/v1/gateways", { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"forged"}' })).status);
  assert.equal(status, 403);
  const { gateways } = await ask("GET", "/v1/gateways");
  assert.ok(!gateways.some(({ name }) => name === "forged"));
});
