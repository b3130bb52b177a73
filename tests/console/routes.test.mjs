// Every route of the examples and of the compiler's tests opens, lies without overlaps, and is saved as it was.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { createRoute, getVersion, newGateway } from "./api.mjs";
import { Builder, overlapping } from "./builder.mjs";
import { openConsole, test } from "./testing.mjs";

for (const [gateway, folder] of [["examples", "../../deploy/examples/"], ["valid", "../routes/valid/"]]) {
  test(`the routes of ${folder.replaceAll("../", "")} open, lie without overlaps and are saved unchanged`, async () => {
    const at = new URL(folder, import.meta.url);
    const files = (await readdir(at)).filter((file) => file.endsWith(".json"));
    assert.ok(files.length > 0);
    await newGateway(gateway);
    const page = await openConsole();
    for (const file of files) {
      const text = await readFile(new URL(file, at), "utf8");
      const { name, elements } = JSON.parse(text);
      await createRoute(gateway, text);
      const builder = await Builder.open(page, gateway, name);
      await page.waitForFunction((count) => document.querySelectorAll("[data-element]").length === count, elements.length);
      assert.deepEqual(overlapping(await builder.boxes()), [], file);
      assert.equal(await builder.showJson(), text, file);
      await moveOne(builder, elements[0].id);
      await builder.save(`as in ${file}`);
      await page.getByText("its layout was kept").last().waitFor();
      const { number, json } = await getVersion(gateway, name);
      assert.equal(number, "1", file);
      assert.equal(json, text, file);
    }
  });
}

// What was moved is worth saving, though the graph is the same.
async function moveOne(builder, id) {
  const box = await builder.element(id).boundingBox();
  const from = { x: box.x + box.width / 2, y: box.y + Math.min(14, box.height / 4) };
  await builder.drag(from, { x: from.x + 40, y: from.y });
  await builder.page.getByText("unsaved changes").waitFor();
}
