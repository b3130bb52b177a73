// Large things: a graph of many elements, and many routes.
import { createRoute, newGateway } from "./api.mjs";

const kAtOnce = 8;

// Conditions one after another, each with a limit and a model to its side.
export function largeRoute(name, count) {
  const elements = [{ id: "start", type: "start", outputs: { next: { elementId: "plan-0" } } }];
  const groups = Math.floor((count - 2) / 3);
  for (let index = 0; index < groups; ++index) {
    const next = index + 1 < groups ? `plan-${index + 1}` : "end";
    elements.push(
      {
        id: `plan-${index}`,
        type: "conditional",
        properties: { conditions: { "metadata.plan": { $eq: `plan ${index}` } } },
        outputs: { true: { elementId: `limit-${index}` }, false: { elementId: next } },
      },
      {
        id: `limit-${index}`,
        type: "rate",
        properties: { limitType: "count", key: "metadata.email", limit: index + 1, window: 86_400 },
        outputs: { success: { elementId: `model-${index}` }, fallback: { elementId: next } },
      },
      {
        id: `model-${index}`,
        type: "model",
        properties: { provider: "openai", model: "gpt-4o-mini", timeout: 60_000, retries: 1 },
        outputs: { success: { elementId: "end" }, fallback: { elementId: "end" } },
      },
    );
  }
  elements.push({ id: "end", type: "end", outputs: {} });
  return JSON.stringify({ name, elements });
}

export async function manyRoutes(gateway, count) {
  await newGateway(gateway);
  const names = Array.from({ length: count }, (_, index) => `route-${String(index).padStart(4, "0")}`);
  while (names.length > 0) await Promise.all(names.splice(0, kAtOnce).map((name) => createRoute(gateway, largeRoute(name, 5))));
}
