// Pictures of every page, in light and dark, and of two at 390 pixels.
//   screenshots.mjs FOLDER
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { addProviders, ask, createToken, kConsole } from "./api.mjs";
import { kWide, launch, signIn } from "./browser.mjs";
import { fill, pagesOf, settled } from "./pages.mjs";
import { withPalette } from "./palette_png.mjs";

const kNarrow = { width: 390, height: 844 };
const kNarrowToo = new Set(["flow", "usage"]);

const folder = process.argv[2];
await mkdir(folder, { recursive: true });
await addProviders("default");
const refused = await fill("default", { users: 9, each: 8 });
await ask("POST", "/v1/gateways/default/keys", { displayName: "mobile", pinnedMetadataJson: '{"plan":"free"}' });
await createToken("viewer", "on call");
await createToken("deployer", "release pipeline");

const browser = await launch();
const context = await browser.newContext({ viewport: kWide, reducedMotion: "reduce" });
context.setDefaultTimeout(120_000);
const page = await context.newPage();
await page.goto(`${kConsole}/`);
await page.getByLabel("Access token").waitFor();
for (const colorScheme of ["light", "dark"]) await shoot("sign-in", colorScheme);
await signIn(page);
await page.mouse.move(0, 0);  // over nothing that lights up
for (const one of pagesOf("default", refused)) {
  await page.goto(kConsole + one.path);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await settled(page, one);
    await shoot(one.name, colorScheme);
  }
  if (!kNarrowToo.has(one.name)) continue;
  await page.setViewportSize(kNarrow);
  await page.emulateMedia({ colorScheme: "light" });
  await page.reload();
  await settled(page, one);
  await shoot(`${one.name}-390`, "light");
  await page.setViewportSize(kWide);
}
await browser.close();

async function shoot(name, colorScheme) {
  await page.emulateMedia({ colorScheme });
  await writeFile(join(folder, `${name}-${colorScheme}.png`), withPalette(await page.screenshot()));
  console.log(`${name}-${colorScheme}.png`);
}
