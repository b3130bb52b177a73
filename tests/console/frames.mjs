// Drags an element of a graph of 200 and prints the times between the frames that the browser drew meanwhile.
import { launch, signIn } from "./browser.mjs";
import { createRoute, newGateway } from "./api.mjs";
import { Builder } from "./builder.mjs";
import { largeRoute } from "./many.mjs";

const kElements = 200;
const kSteps = 240;

await newGateway("frames");
await createRoute("frames", largeRoute("frames", kElements));
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(120_000);
await signIn(page);
const builder = await Builder.open(page, "frames", "frames");
await page.waitForFunction((count) => document.querySelectorAll("[data-element]").length === count, kElements);

// An element in view, away from the edges, where a drag would pan.
const area = await builder.canvas.boundingBox();
const seen = (await builder.boxes()).filter((box) => box.left > area.x + 80 && box.right < area.x + area.width - 80 && box.top > area.y + 80 && box.bottom < area.y + area.height - 80);
const box = seen[Math.floor(seen.length / 2)];
const from = { x: (box.left + box.right) / 2, y: box.top + (box.bottom - box.top) / 8 };

const measure = async (label, during) => {
  await page.evaluate(() => {
    const times = [];
    const state = { times, going: true };
    globalThis.frames200 = state;
    const tick = (now) => {
      times.push(now);
      if (state.going) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await during();
  const times = await page.evaluate(() => {
    globalThis.frames200.going = false;
    return globalThis.frames200.times;
  });
  const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  const at = (share) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * share))]?.toFixed(1);
  console.log(`${label}: ${gaps.length} frames; between two: median ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms`);
};

await measure("nothing moves", () => page.evaluate(() => new Promise((done) => {
  let left = 60;
  const tick = () => (--left > 0 ? requestAnimationFrame(tick) : done());
  requestAnimationFrame(tick);
})));
await page.mouse.move(from.x, from.y);
await page.mouse.down();
await measure(`one of ${kElements} elements is dragged`, async () => {
  for (let step = 1; step <= kSteps; ++step) {
    const angle = (step / kSteps) * 2 * Math.PI;
    await page.mouse.move(from.x + 60 * Math.sin(angle), from.y + 60 * (1 - Math.cos(angle)));
  }
});
await page.mouse.up();
await browser.close();
