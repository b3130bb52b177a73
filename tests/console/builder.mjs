// The flow builder as somebody with a mouse uses it.
import { kConsole } from "./api.mjs";

const kStillFrames = 20;

export class Builder {
  constructor(page) {
    this.page = page;
    this.canvas = page.getByRole("region", { name: /^The graph of / });
    this.details = page.getByRole("region", { name: "Details" });
    this.status = page.getByRole("status", { name: "Validation" });
  }

  static async open(page, gateway, route) {
    await page.goto(`${kConsole}/g/${encodeURIComponent(gateway)}/routes/${encodeURIComponent(route)}`);
    const builder = new Builder(page);
    await builder.elements().first().waitFor();
    await builder.stands();
    return builder;
  }

  element(id) {
    return this.canvas.locator(`[data-element="${id}"]`);
  }

  elements() {
    return this.canvas.locator("[data-element]");
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  // From the palette to a place of the canvas, given in shares of its width and height.
  async drop(type, x, y) {
    const before = await this.elements().count();
    const from = await this.page.locator(`[data-block="${type}"]`).boundingBox();
    const area = await this.canvas.boundingBox();
    await this.drag(centre(from), { x: area.x + x * area.width, y: area.y + y * area.height });
    await this.page.waitForFunction((count) => document.querySelectorAll("[data-element]").length === count, before + 1);
  }

  async drag(from, to) {
    const { mouse } = this.page;
    await mouse.move(from.x, from.y);
    await mouse.down();
    await mouse.move(from.x + 6, from.y + 6, { steps: 2 });
    await mouse.move(to.x, to.y, { steps: 8 });
    await mouse.up();
  }

  // A line from an output's dot to another element's.
  async connect(from, output, to) {
    const source = await this.element(from).locator(`.react-flow__handle.source[data-handleid="${output}"]`).boundingBox();
    const target = await this.element(to).locator(".react-flow__handle.target").boundingBox();
    await this.drag(centre(source), centre(target));
    await this.canvas.locator(`[aria-label="${output} of ${from} leads to ${to}"]`).waitFor({ state: "attached" });
  }

  async select(id) {
    const chosen = this.details.getByLabel("Id", { exact: true }).and(this.page.locator(`[value="${id}"]`));
    await this.stands();
    const head = await this.element(id).boundingBox();
    await this.page.mouse.click(head.x + head.width / 2, head.y + Math.min(14, head.height / 4));
    await chosen.waitFor();
  }

  // Until the graph has stood still for some frames: it is fitted into view once it is there.
  stands() {
    return this.page.evaluate(
      (frames) =>
        new Promise((done) => {
          let before = "";
          let same = 0;
          const look = () => {
            const boxes = [...document.querySelectorAll("[data-element]")].map((node) => {
              const { left, top, width } = node.getBoundingClientRect();
              return [left, top, width].map(Math.round).join();
            });
            const now = boxes.join(" ");
            same = boxes.length > 0 && now === before ? same + 1 : 0;
            before = now;
            if (same >= frames) done();
            else requestAnimationFrame(look);
          };
          look();
        }),
      kStillFrames,
    );
  }

  // Names the element that is selected.
  async rename(id) {
    const field = this.details.getByLabel("Id", { exact: true });
    await field.fill(id);
    await field.press("Enter");
    await this.element(id).waitFor();
  }

  async fill(label, value) {
    await this.details.getByLabel(label, { exact: true }).fill(String(value));
  }

  async choose(label, value) {
    await this.details.getByLabel(label, { exact: true }).selectOption(value);
  }

  async showJson() {
    await this.details.getByRole("button", { name: "JSON" }).click();
    return this.details.getByLabel("The route as JSON").inputValue();
  }

  async showElement() {
    await this.details.getByRole("button", { name: "Element" }).click();
  }

  async save(comment) {
    await this.button("Save").click();
    const dialog = this.page.getByRole("dialog", { name: "Save a version" });
    await dialog.getByLabel("Comment").fill(comment);
    await dialog.getByRole("button", { name: /^Save/ }).click();
    await dialog.waitFor({ state: "detached" });
  }

  // The boxes of all elements, in the window's pixels.
  boxes() {
    return this.elements().evaluateAll((nodes) =>
      nodes.map((node) => {
        const { left, top, right, bottom } = node.getBoundingClientRect();
        return { id: node.getAttribute("data-element"), left, top, right, bottom };
      }),
    );
  }
}

export const centre = (box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

export function overlapping(boxes) {
  const found = [];
  boxes.forEach((a, index) => {
    for (const b of boxes.slice(index + 1)) {
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) found.push(`${a.id} and ${b.id}`);
    }
  });
  return found;
}
