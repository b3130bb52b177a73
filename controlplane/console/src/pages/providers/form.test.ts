import { describe, expect, it } from "vitest";
import type { Provider } from "@/api/types";
import { emptyEndpoint, formOf, requestOf, wrongWith } from "./form";

const kProvider: Provider = {
  gateway: "default",
  name: "openai",
  kind: "openai",
  baseUrl: "https://api.example.com/v1",
  hasSecret: true,
  headers: { "x-org": "7" },
  options: {},
  endpoints: [{ name: "a", baseUrl: "", weight: 3, hasSecret: true }],
  healthCheck: { path: "/models", intervalS: 20 },
};

describe("a provider's form", () => {
  it("sends what it was given, and no secret that was not typed", () => {
    const request = requestOf(formOf(kProvider));
    expect(request.secret).toBeUndefined();
    expect(request.endpointSecrets).toEqual({});
    expect(request.provider).toEqual({
      kind: "openai",
      baseUrl: "https://api.example.com/v1",
      headers: { "x-org": "7" },
      options: {},
      endpoints: [{ name: "a", baseUrl: "", weight: 3 }],
      healthCheck: { path: "/models", intervalS: 20 },
    });
  });
  it("sends typed secrets by their endpoint", () => {
    const form = formOf(kProvider);
    form.endpoints[0]!.secret = "sk-2";
    expect(requestOf({ ...form, secret: "sk-1" })).toMatchObject({ secret: "sk-1", endpointSecrets: { a: "sk-2" } });
  });
  it("says what is wrong before anything is sent", () => {
    const form = formOf(kProvider);
    expect(wrongWith(form)).toBe("");
    expect(wrongWith({ ...form, endpoints: [emptyEndpoint()] })).toMatch(/name/);
    expect(wrongWith({ ...form, endpoints: [form.endpoints[0]!, form.endpoints[0]!] })).toMatch(/same name/);
    expect(wrongWith({ ...form, probeSeconds: "soon" })).toMatch(/seconds/);
  });
});
