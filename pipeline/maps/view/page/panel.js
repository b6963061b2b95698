// The panel: which layer is on top, which beneath, opacity, swipe.

import { make } from "./key.js";

export class Panel {
  /** @param chosen called with {top}, {base}, {opacity} or {swipe} when the user chooses. */
  constructor(scene, chosen) {
    this.scene = scene;
    this.chosen = chosen;
    this.families = [...new Set(scene.layers.map((layer) => layer.family))];
    this.last = new Map(); // the variant of each family that was seen last
    document.title = `${scene.title} · cropcam`;
    document.getElementById("title").textContent = scene.title;
    document.getElementById("kind").textContent = { map: "Class map", store: "Patch store", run: "Trained run" }[scene.kind];
    const facts = Object.entries(scene.facts).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]);
    document.getElementById("facts").append(...facts);
    this.layers = document.getElementById("layers");
    this.base = document.getElementById("base");
    this.opacity = document.getElementById("opacity");
    this.swipe = document.getElementById("swipe");
    this.#choices();
    this.opacity.addEventListener("input", () => chosen({ opacity: Number(this.opacity.value) / 100 }));
    this.base.addEventListener("change", () => chosen({ base: this.base.value }));
    this.swipe.addEventListener("click", () => chosen({ swipe: true }));
  }

  /** Show a state: {top, base, opacity, share}. */
  show(state) {
    const layer = this.layer(state.top);
    this.last.set(layer.family, layer.id);
    for (const input of this.layers.querySelectorAll("input")) input.checked = input.value === layer.family;
    const variants = this.variants(layer.family);
    this.variant.hidden = variants.length < 2;
    if (variants.length > 1) {
      this.select.replaceChildren(...variants.map((item) => make("option", { value: item.id }, item.variant)));
      this.select.value = layer.id;
      this.variant.querySelector("label").textContent = layer.group === "Image" ? "Season" : "Class";
    }
    this.base.value = state.base;
    this.opacity.value = String(Math.round(100 * state.opacity));
    document.getElementById("opacity-value").textContent = `${this.opacity.value} %`;
    this.swipe.disabled = !state.base;
    this.swipe.setAttribute("aria-pressed", String(state.share !== null));
  }

  layer(id) {
    return this.scene.layers.find((layer) => layer.id === id);
  }

  variants(family) {
    return this.scene.layers.filter((layer) => layer.family === family);
  }

  /** The layer that stands for a family: the variant that was seen last. */
  of(family) {
    return this.last.get(family) ?? this.variants(family)[0].id;
  }

  /** The variant before (-1) or after (1) a layer, going round. */
  beside(id, step) {
    const variants = this.variants(this.layer(id).family);
    const index = variants.findIndex((layer) => layer.id === id);
    return variants[(index + step + variants.length) % variants.length].id;
  }

  #choices() {
    const groups = new Map();
    for (const family of this.families) {
      const group = this.variants(family)[0].group;
      const input = make("input", { type: "radio", name: "layer", value: family, id: `layer-${this.families.indexOf(family)}` });
      input.addEventListener("change", () => this.chosen({ top: this.of(family) }));
      if (!groups.has(group)) groups.set(group, make("div", { class: "group" }));
      groups.get(group).append(make("label", { class: "choice" }, input, make("span", {}, family)));
    }
    this.select = make("select", { id: "variant" });
    this.select.addEventListener("change", () => this.chosen({ top: this.select.value }));
    this.variant = make("div", { class: "variant" }, make("label", { for: "variant" }), this.select);
    this.layers.append(...groups.values(), this.variant);
    this.base.append(make("option", { value: "" }, "nothing"));
    for (const family of this.families) {
      const options = this.variants(family).map((layer) => make("option", { value: layer.id }, layer.variant ? `${family}: ${layer.variant}` : family));
      this.base.append(...(options.length > 1 ? [make("optgroup", { label: family }, ...options)] : options));
    }
  }
}
