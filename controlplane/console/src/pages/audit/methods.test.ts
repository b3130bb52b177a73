import { expect, it } from "vitest";
import { methodLabel, resourcePath } from "./methods";

it("says methods in words, unknown ones as they are", () => {
  expect(methodLabel("signalbox.v1.Routes.Deploy")).toBe("deployed");
  expect(methodLabel("session.start")).toBe("signed in");
  expect(methodLabel("signalbox.v1.New.Thing")).toBe("signalbox.v1.New.Thing");
});

it("leads to what was changed", () => {
  expect(resourcePath("default", "route my/saas")).toBe("/g/default/routes/my%2Fsaas/versions");
  expect(resourcePath("default", "gateway staging")).toBe("/g/staging/settings");
  expect(resourcePath("default", "backup")).toBeNull();
});
