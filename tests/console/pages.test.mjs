// Every page: nothing that axe finds, in light and dark; no scrolling but of the content at 390 pixels.
import assert from "node:assert/strict";
import { before } from "node:test";
import { kConsole, newGateway } from "./api.mjs";
import { kWide, violations } from "./browser.mjs";
import { fill, pagesOf, settled } from "./pages.mjs";
import { openConsole, openContext, test } from "./testing.mjs";

const kGateway = "pages";
const kNarrow = { width: 390, height: 844 };
let pages;

before(async () => {
  await newGateway(kGateway);
  pages = pagesOf(kGateway, await fill(kGateway));
});

test("no page has anything for axe to find, in light and dark", async () => {
  const page = await openConsole();
  const found = [];
  for (const one of pages) {
    await page.goto(kConsole + one.path);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await settled(page, one);
      found.push(...(await violations(page)).map((violation) => `${one.name}, ${colorScheme}: ${violation}`));
    }
  }
  assert.deepEqual(found, []);
});

test("at 390 pixels no page scrolls sideways, and none scrolls but its content", async () => {
  const page = await openConsole({ viewport: kWide });
  await page.setViewportSize(kNarrow);
  const wide = [];
  for (const one of pages) {
    await page.goto(kConsole + one.path);
    await settled(page, one);
    const { scrollWidth, scrollHeight, innerWidth, innerHeight } = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return { scrollWidth, scrollHeight, innerWidth, innerHeight };
    });
    if (scrollWidth > innerWidth || scrollHeight > innerHeight) wide.push(`${one.name}: ${scrollWidth} x ${scrollHeight} of ${innerWidth} x ${innerHeight}`);
  }
  assert.deepEqual(wide, []);
});

test("a page whose script an upgrade took away is opened by loading the console anew", async () => {
  const page = await openConsole();
  let missing = 0;
  await page.route("**/assets/KeysPage-*.js", (route) => (missing++ === 0 ? route.fulfill({ status: 404 }) : route.continue()));
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();
  assert.ok(missing >= 2, `asked for ${missing} times`);
});

test("the sign-in page has nothing for axe to find, in light and dark, and refuses what is no token", async () => {
  const page = await (await openContext({ viewport: kNarrow })).newPage();
  await page.goto(`${kConsole}/`);
  await page.getByLabel("Access token").waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await settled(page, { ready: "h1" });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await page.getByLabel("Access token").fill("sbt_made-up");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is not known here").waitFor();
});
