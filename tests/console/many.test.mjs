// One of 500 routes is found, and a graph of 200 elements is opened.
import assert from "node:assert/strict";
import { createRoute, kConsole, newGateway } from "./api.mjs";
import { Builder, overlapping } from "./builder.mjs";
import { largeRoute, manyRoutes } from "./many.mjs";
import { openConsole, test } from "./testing.mjs";

const kRoutes = 500;
const kElements = 200;

test("500 routes are listed, paged and searched", async () => {
  await manyRoutes("many", kRoutes);
  const page = await openConsole();
  await page.goto(`${kConsole}/g/many/routes`);
  await page.getByText(`${kRoutes} routes`).waitFor();
  const links = page.getByRole("region", { name: "Routes" }).getByRole("link", { name: /^route-/ });
  const shown = await links.count();
  assert.ok(shown > 0 && shown < kRoutes, `${shown} shown`);
  await page.getByLabel("Find a route").fill("route-0417");
  await page.getByText(`1 of ${kRoutes}`).waitFor();
  await page.getByRole("link", { name: "route-0417", exact: true }).click();
  await new Builder(page).element("start").waitFor();
  await page.goto(`${kConsole}/g/many/routes?page=10`);
  await links.first().waitFor();
  assert.equal(await links.count(), kRoutes - 9 * shown);
});

test("a graph of 200 elements opens without overlaps, and at the element that its address names", async () => {
  await newGateway("large");
  await createRoute("large", largeRoute("large", kElements));
  const page = await openConsole();
  const builder = await Builder.open(page, "large", "large");
  await page.waitForFunction((count) => document.querySelectorAll("[data-element]").length === count, kElements);
  assert.deepEqual(overlapping(await builder.boxes()), []);
  // An address may name an element.
  await page.goto(`${kConsole}/g/large/routes/large?element=plan-30`);
  await builder.details.getByLabel("Id", { exact: true }).and(page.locator('[value="plan-30"]')).waitFor();
});
