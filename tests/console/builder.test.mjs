// What the flow builder does besides the walkthrough.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before } from "node:test";
import { createRoute, exampleText, getRoute, getVersion, newGateway, saveVersion } from "./api.mjs";
import { Builder } from "./builder.mjs";
import { openConsole, test } from "./testing.mjs";

const kGateway = "builder";
const kSmall = JSON.stringify({
  name: "small",
  elements: [
    { id: "start", type: "start", outputs: { next: { elementId: "end" } } },
    { id: "end", type: "end", outputs: {} },
  ],
});
const named = (name) => kSmall.replace('"small"', JSON.stringify(name));

before(() => newGateway(kGateway));

test("a route is built by keyboard alone", async () => {
  const page = await openConsole();
  await createRoute(kGateway, named("by-keys"));
  const builder = await Builder.open(page, kGateway, "by-keys");
  const line = (label) => builder.canvas.locator(`[aria-label="${label}"]`).waitFor({ state: "attached" });
  // Only Tab, arrows, Enter and typing from here on.
  await builder.element("start").waitFor();
  await focusByTab(page, (node) => node.matches(".react-flow__node") && node.querySelector('[data-element="start"]') !== null);
  await page.keyboard.press("Enter");
  await builder.details.getByLabel("Id", { exact: true }).waitFor();
  await focusByTab(page, (node) => node.getAttribute("data-block") === "conditional", { back: true });
  await page.keyboard.press("Enter");
  await builder.element("condition").waitFor();
  await focusByTab(page, (node) => node.getAttribute("data-block") === "model", { back: true });
  await page.keyboard.press("Enter");
  await builder.element("model").waitFor();
  // The new model is behind the condition's first output; the other one, and the start's, are led by the form.
  await focusByTab(page, (node) => node.matches(".react-flow__node") && node.querySelector('[data-element="condition"]') !== null);
  await page.keyboard.press("Enter");
  await builder.details.getByLabel("Id", { exact: true }).and(page.locator('[value="condition"]')).waitFor();
  await focusByTab(page, (node) => node.matches("select") && node.labels?.[0]?.textContent === "false");
  await page.keyboard.press("ArrowDown");  // from none to the first: end
  await line("false of condition leads to end");
  await focusByTab(page, (node) => node.matches(".react-flow__node") && node.querySelector('[data-element="start"]') !== null, { back: true });
  await page.keyboard.press("Enter");
  await builder.details.getByLabel("Id", { exact: true }).and(page.locator('[value="start"]')).waitFor();
  await focusByTab(page, (node) => node.matches("select") && node.labels?.[0]?.textContent === "next");
  await page.keyboard.press("ArrowDown");  // from end to what was added next
  await line("next of start leads to condition");
  await page.waitForFunction(() => document.querySelector('[role=status][aria-label="Validation"]')?.textContent === "no faults");
  await page.keyboard.press("Control+s");
  await page.getByRole("dialog", { name: "Save a version" }).waitFor();
  await page.keyboard.type("without a mouse");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const saved = JSON.parse((await getVersion(kGateway, "by-keys")).json);
  const outputs = Object.fromEntries(saved.elements.map((element) => [element.id, element.outputs]));
  assert.deepEqual(outputs.start, { next: { elementId: "condition" } });
  assert.deepEqual(outputs.condition, { true: { elementId: "model" }, false: { elementId: "end" } });
});

// Presses Tab until what has the focus fits.
async function focusByTab(page, fits, { back = false } = {}) {
  for (let presses = 0; presses < 150; ++presses) {
    await page.keyboard.press(back ? "Shift+Tab" : "Tab");
    const there = await page.evaluateHandle(() => document.activeElement);
    if (await there.evaluate(fits)) return;
  }
  throw new Error(`Tab never led to ${fits}`);
}

test("changes are undone and redone, copied and pasted", async () => {
  const page = await openConsole();
  await createRoute(kGateway, named("undone"));
  const builder = await Builder.open(page, kGateway, "undone");
  const original = await builder.showJson();
  await builder.showElement();
  await builder.drop("model", 0.75, 0.3);
  await builder.select("model");
  await builder.fill("Model", "gpt-5.1");
  const changed = await builder.showJson();
  assert.match(changed, /gpt-5\.1/);
  await builder.canvas.click({ position: { x: 8, y: 8 } });
  while (await builder.button("Undo").isEnabled()) await page.keyboard.press("Control+z");
  assert.equal(await builder.showJson(), original);
  await builder.canvas.click({ position: { x: 8, y: 8 } });
  while (await builder.button("Redo").isEnabled()) await page.keyboard.press("Control+Shift+z");
  assert.equal(await builder.showJson(), changed);
  await builder.showElement();
  await builder.select("model");
  await builder.element("model").click();
  await page.keyboard.press("Control+c");
  await page.keyboard.press("Control+v");
  await builder.element("model-2").waitFor();
  await page.keyboard.press("Delete");
  await builder.element("model-2").waitFor({ state: "detached" });
  assert.equal(await builder.showJson(), changed);
});

test("the JSON view edits the graph, and says what it cannot read", async () => {
  const page = await openConsole();
  await createRoute(kGateway, named("as-text"));
  const builder = await Builder.open(page, kGateway, "as-text");
  await builder.showJson();
  const area = builder.details.getByLabel("The route as JSON");
  const text = JSON.stringify({ ...JSON.parse(await exampleText("canary-split")), name: "as-text" }, null, 1);
  await area.fill(text.slice(0, -1));
  await builder.details.getByRole("alert").waitFor();
  await area.fill(text);
  await builder.details.getByRole("alert").waitFor({ state: "detached" });
  await page.waitForFunction((count) => document.querySelectorAll("[data-element]").length === count, JSON.parse(text).elements.length);
  await builder.save("as text");
  assert.equal((await getVersion(kGateway, "as-text")).json, text);
});

test("whoever saves second is warned, and nothing is lost", async () => {
  const page = await openConsole();
  await createRoute(kGateway, named("contended"));
  const builder = await Builder.open(page, kGateway, "contended");
  await builder.drop("model", 0.75, 0.3);
  const theirs = named("contended").replace('"outputs":{}', '"properties":{"status":418},"outputs":{}');
  await saveVersion(kGateway, await getRoute(kGateway, "contended"), theirs, "theirs");
  await builder.button("Save").click();
  const dialog = page.getByRole("dialog", { name: "Save a version" });
  await dialog.getByLabel("Comment").fill("mine");
  await dialog.getByRole("button", { name: /^Save/ }).click();
  const conflict = page.getByRole("dialog", { name: "Somebody else saved meanwhile" });
  await conflict.getByText("“theirs”").waitFor();
  await conflict.getByRole("button", { name: "Save mine on top" }).click();
  await conflict.waitFor({ state: "detached" });
  const [first, second, third] = await Promise.all(["1", "2", "3"].map((number) => getVersion(kGateway, "contended", number)));
  assert.equal(first.json, named("contended"));
  assert.equal(second.json, theirs);
  assert.equal(third.comment, "mine");
  assert.match(third.json, /"model"/);
});

test("what is exported and imported again is the same bytes", async () => {
  const page = await openConsole();
  const odd = '{ "name":"odd",\n\t"elements" : [ {"id":"start","type":"start","outputs":{"next":{"elementId":"end"}}, "x-note": 1.50e1},{"type":"end","id":"end"} ]}\n';
  await createRoute(kGateway, odd);
  const builder = await Builder.open(page, kGateway, "odd");
  const [download] = await Promise.all([page.waitForEvent("download"), builder.button("Export JSON").click()]);
  assert.equal(download.suggestedFilename(), "odd.json");
  const exported = await readFile(await download.path(), "utf8");
  assert.equal(exported, odd);
  await createRoute(kGateway, named("imported"));
  const other = await Builder.open(page, kGateway, "imported");
  await page.getByLabel("Import a route's JSON").setInputFiles({ name: "odd.json", mimeType: "application/json", buffer: Buffer.from(exported) });
  await page.getByText("odd.json is open").waitFor();
  const [again] = await Promise.all([page.waitForEvent("download"), other.button("Export JSON").click()]);
  assert.equal(await readFile(await again.path(), "utf8"), odd);
});
