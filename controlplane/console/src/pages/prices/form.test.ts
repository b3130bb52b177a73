import { describe, expect, it } from "vitest";
import type { ModelPrice } from "@/api/types";
import { formOf, priceOf } from "./form";

const kPrice = {
  provider: "openai",
  model: "gpt-5.1",
  inputNanosPerMtok: "1250000000",
  cachedInputNanosPerMtok: "125000000",
  outputNanosPerMtok: "10000000000",
  maxOutputTokens: "128000",
  capField: "max_completion_tokens",
  source: "catalogue",
  requestNanos: "0",
  webSearchNanos: "10000000",
  storageSearchNanos: "0",
  tiers: [{ aboveInputTokens: "200000" }],
  times: [],
  match: { equals: "gpt-5.1" },
  unmetered: [],
} as ModelPrice;

describe("a price's form", () => {
  it("changes what was typed and keeps the rest, but neither its source nor what else it matched", () => {
    const form = formOf(kPrice);
    expect(form.rates.inputNanosPerMtok).toBe("1.25");
    const { price } = priceOf({ ...form, rates: { ...form.rates, inputNanosPerMtok: "1.3" } }, kPrice);
    const { source: _source, match: _match, ...kept } = kPrice;
    expect(price).toEqual({ ...kept, inputNanosPerMtok: "1300000000" });
  });
  it("drops an optional rate that was emptied, and tiers when they are to go", () => {
    const form = formOf(kPrice);
    const { price } = priceOf({ ...form, rates: { ...form.rates, cachedInputNanosPerMtok: "" }, flat: true }, kPrice);
    expect(price).not.toHaveProperty("cachedInputNanosPerMtok");
    expect(price!.tiers).toEqual([]);
  });
  it("is none while a rate is missing or no number", () => {
    expect(priceOf(formOf()).price).toBeNull();
    const form = formOf(kPrice);
    expect(priceOf({ ...form, rates: { ...form.rates, outputNanosPerMtok: "ten" } }, kPrice)).toEqual({ price: null, wrong: ["outputNanosPerMtok"] });
  });
});
