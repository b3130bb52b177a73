// A browser for a test file, and pages that are watched: what they ask of the network, what they violate of the content
// security policy, and what they throw. `test` fails when a page did any of what it must not.
import axe from "axe-core";
import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import { after, before, test as nodeTest } from "node:test";
import { kAdminToken, kConsole } from "./api.mjs";

const kPatienceMs = 120_000;  // of a machine that does much else
export const kWide = { width: 1440, height: 900 };

let browser;
const watched = new Map();

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-domain-reliability",
      "--disable-sync",
      "--no-pings",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}

// What a page does that it must not, by its context.
function watch(context) {
  const wrongs = [];
  watched.set(context, wrongs);
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${kConsole}/`) && !/^(data|blob):/.test(url)) wrongs.push(`contacted ${url}`);
  });
  context.on("weberror", (error) => wrongs.push(`threw ${error.error().stack}`));
  context.on("console", (message) => {
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) wrongs.push(`console: ${message.text()}`);
  });
  return context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
  });
}

export async function openContext(options = {}) {
  browser ??= await launch();
  const context = await browser.newContext({ viewport: kWide, reducedMotion: "reduce", acceptDownloads: true, ...options });
  context.setDefaultTimeout(kPatienceMs);
  await watch(context);
  return context;
}

export async function signIn(page, token = kAdminToken) {
  await page.goto(`${kConsole}/`);
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
}

// A page that is signed in.
export async function openConsole(options = {}, token = kAdminToken) {
  const context = await openContext(options);
  const page = await context.newPage();
  await signIn(page, token);
  return page;
}

// A test with its own browser context(s), closed and judged at its end.
export function test(name, body) {
  nodeTest(name, async (t) => {
    try {
      await body(t);
      for (const wrongs of watched.values()) assert.deepEqual(wrongs, []);
    } catch (error) {
      await keepPictures(name);
      throw error;
    } finally {
      for (const context of watched.keys()) await context.close();
      watched.clear();
    }
  });
}

// Where SIGNALBOX_PICTURES names a folder, a failed test leaves what its pages showed there.
async function keepPictures(name) {
  const folder = process.env.SIGNALBOX_PICTURES;
  if (!folder) return;
  let count = 0;
  for (const [context, wrongs] of watched) {
    if (wrongs.length > 0) console.error(wrongs.join("\n"));
    for (const page of context.pages()) await page.screenshot({ path: `${folder}/${name.replace(/\W+/g, "-")}-${count++}.png` });
  }
}

export async function violations(page) {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

before(async () => {
  browser ??= await launch();
});
after(async () => {
  await browser?.close();
});
