// The console's pages, and traffic that fills them.
import assert from "node:assert/strict";
import { ask, chat, createKey, createRoute, deploy, exampleText, inSync } from "./api.mjs";
import { eventually } from "./eventually.mjs";

export const kFilledRoute = "my-trillion-dollar-saas";

// Requests of both plans, some of them refused, and what else a page can show; the id of a refused one.
export async function fill(gateway, { users = 3, each = 4 } = {}) {
  for (const name of [kFilledRoute, "canary-split", "fallback-chain"]) {
    await createRoute(gateway, await exampleText(name));
    await deploy(gateway, name, "1");
  }
  const changed = (await exampleText(kFilledRoute)).replace('"limit": 1000,', '"limit": 2000,');
  await ask("POST", `/v1/gateways/${gateway}/routes/${kFilledRoute}/versions`, { json: changed, comment: "paid users get more" });
  const key = await createKey(gateway, "web");
  await inSync();
  let count = 0;
  const send = async (route, metadata) => {
    const answer = await chat(key, { gateway, route, metadata, proxy: count++ % 2 });
    await answer.text();
    return answer.status;
  };
  for (let user = 0; user < users; ++user) {
    for (let request = 0; request < each; ++request) {
      assert.equal(await send(kFilledRoute, { plan: "paid", email: `user-${user}@example.com` }), 200);
      assert.equal(await send("fallback-chain", { user_id: `user-${user}`, plan: "paid", email: `user-${user}@example.com` }), 200);
    }
  }
  for (let request = 0; request < 11; ++request) {
    assert.equal(await send(kFilledRoute, { plan: "free", email: "ann@example.com" }), request < 10 ? 200 : 429);
  }
  const refused = await eventually("the ledger to hold every request", async () => {
    const { records } = await ask("GET", `/v1/gateways/${gateway}/requests?pageSize=500`);
    return records.length >= count && records.find((record) => record.outcome === "REFUSED");
  });
  return refused.requestId;
}

// Name, address, and what is there once the page has its data.
export function pagesOf(gateway, request) {
  const g = `/g/${gateway}`;
  const route = `${g}/routes/${kFilledRoute}`;
  const graph = "[data-element=end]";
  return [
    ["routes", `${g}/routes`, "h1"],
    ["new-route", `${g}/new-route`, "h1"],
    ["flow", `${route}?element=free-budget`, graph],
    ["flow-json", `${route}?panel=json`, "h1"],
    ["versions", `${route}/versions`, "h1"],
    ["diff", `${route}/diff?a=1&b=2`, graph],
    ["simulator", `${route}/simulator`, "ol[aria-label=Steps]"],
    ["usage", `${g}/usage`, "h1"],
    ["requests", `${g}/requests`, "h1"],
    ["request", `${g}/requests/${request}`, "h1"],
    ["budgets", `${g}/budgets`, "h1"],
    ["providers", `${g}/providers`, "h1"],
    ["keys", `${g}/keys`, "h1"],
    ["prices", `${g}/prices`, "h1"],
    ["fleet", `${g}/fleet`, "h1"],
    ["counters", `${g}/counters`, "h1"],
    ["settings", `${g}/settings`, "h1"],
    ["tokens", `${g}/tokens`, "h1"],
    ["audit", `${g}/audit`, "h1"],
  ].map(([name, path, ready]) => ({ name, path, ready }));
}

// Until the page shows its data and nothing moves.
export async function settled(page, { ready }) {
  await page.locator(`main ${ready}`).first().waitFor();
  await page.waitForFunction(
    () =>
      !/Loading|checking …|Walking the route/.test(document.querySelector("main")?.textContent ?? "Loading") &&
      document.getAnimations().every((animation) => animation.playState !== "running" || animation.effect?.getTiming().iterations === Infinity),
  );
  await page.evaluate(() => document.fonts.ready.then(() => {}));
}
