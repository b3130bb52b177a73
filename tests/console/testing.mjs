// Tests in a browser. Their pages are watched: what they ask of the network, what they violate of the content security
// policy, and what they throw. `test` fails when a page did any of what it must not.
import assert from "node:assert/strict";
import { after, test as nodeTest } from "node:test";
import { kAdminToken, kConsole } from "./api.mjs";
import { kPatienceMs, kWide, launch, signIn } from "./browser.mjs";

let browser;
const watched = new Map();

// What a page does that it must not, by its context.
function watch(context) {
  const wrongs = [];
  watched.set(context, wrongs);
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${kConsole}/`) && !/^(data|blob):/.test(url)) wrongs.push(`contacted ${url}`);
  });
  context.on("response", (response) => {
    if (response.status() >= 500) wrongs.push(`${response.status()} for ${response.url()}`);
  });
  context.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    if (errorText !== "net::ERR_ABORTED") wrongs.push(`${errorText} for ${request.url()}`);
  });
  context.on("weberror", (error) => wrongs.push(`threw ${error.error().stack}`));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !/^Failed to load resource/.test(message.text())) wrongs.push(`console: ${message.text()}`);
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

after(async () => {
  await browser?.close();
});
