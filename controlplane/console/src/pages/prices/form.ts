// A price as a form, and back: what the form does not show stays as it is in force.
import type { ModelPrice } from "@/api/types";
import { dollarsText, parseDollars } from "@/ui/dollars";

export type RateField = "inputNanosPerMtok" | "outputNanosPerMtok" | "cachedInputNanosPerMtok" | "cacheWriteNanosPerMtok";

export const kRates: { field: RateField; label: string; optional: boolean }[] = [
  { field: "inputNanosPerMtok", label: "Input", optional: false },
  { field: "outputNanosPerMtok", label: "Output", optional: false },
  { field: "cachedInputNanosPerMtok", label: "Cached input", optional: true },
  { field: "cacheWriteNanosPerMtok", label: "Cache write", optional: true },
];

export interface PriceForm {
  provider: string;
  model: string;
  rates: Partial<Record<RateField, string>>;
  maxOutput: string;
  flat: boolean;
}

export function formOf(price?: ModelPrice): PriceForm {
  const rates: PriceForm["rates"] = {};
  for (const { field } of kRates) {
    const nanos = price?.[field];
    if (nanos !== undefined) rates[field] = dollarsText(nanos);
  }
  return { provider: price?.provider ?? "", model: price?.model ?? "", rates, maxOutput: "", flat: false };
}

type Price = Partial<ModelPrice> & { provider: string; model: string };

// Null while something is missing or wrong; `wrong` names the fields that say so.
export function priceOf(form: PriceForm, before?: ModelPrice): { price: Price | null; wrong: RateField[] } {
  const { source: _source, match: _match, ...kept } = before ?? ({} as Partial<ModelPrice>);
  const price: Price = { ...kept, provider: form.provider.trim(), model: form.model.trim() };
  if (form.flat) Object.assign(price, { tiers: [], times: [] });
  const wrong: RateField[] = [];
  let missing = price.provider === "" || price.model === "" || !/^\d{0,12}$/.test(form.maxOutput.trim());
  for (const { field, optional } of kRates) {
    const text = (form.rates[field] ?? "").trim();
    const nanos = parseDollars(text);
    if (text === "") {
      delete price[field];
      missing ||= !optional;
    } else if (nanos === null) {
      wrong.push(field);
    } else {
      price[field] = nanos;
    }
  }
  if (form.maxOutput.trim() !== "") price.maxOutputTokens = form.maxOutput.trim();
  return { price: missing || wrong.length > 0 ? null : price, wrong };
}
