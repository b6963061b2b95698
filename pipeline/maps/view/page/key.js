// The legend of a layer, with the hectares of its classes once they are measured.

const WAIT_MS = 700;
const areas = new Map();

/** An element with attributes, texts and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function swatch(color) {
  const element = make("span", { class: "swatch", "aria-hidden": "true" });
  element.style.background = color;
  return element;
}

export const hectares = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** The legends of the layers that are seen, into an element. */
export function draw(element, layers, zoomedOut) {
  element.replaceChildren(...layers.map((layer) => legend(layer, zoomedOut)));
}

function legend(layer, zoomedOut) {
  const box = make("div", { class: "key", "data-layer": layer.id });
  box.append(make("h3", {}, layer.variant ? `${layer.family}: ${layer.variant}` : layer.family));
  const key = layer.key;
  if (key.kind === "classes") box.append(classes(key));
  if (key.kind === "swatches") box.append(table(key.items.map((item) => [named(item)])));
  if (key.kind === "ramp") box.append(ramp(key));
  if (key.kind === "bands") box.append(bands(key));
  if (layer.note && (layer.id !== "errors" || zoomedOut)) box.append(make("p", { class: "note" }, layer.note));
  return box;
}

const named = (item) => [swatch(item.color), item.name];

function table(rows, head, foot) {
  const element = make("table");
  const line = (cells) => make("tr", {}, ...cells.map((cell, index) => make(index ? "td" : "th", index ? {} : { scope: "row" }, ...[cell].flat())));
  if (head) element.append(make("thead", {}, line(head)));
  element.append(make("tbody", {}, ...rows.map(line)));
  if (foot) element.append(make("tfoot", {}, line(foot)));
  return element;
}

function classes(key) {
  const box = make("div");
  const show = (found) => {
    if (found?.state !== "measured") {
      const waiting = found?.state === "failed" ? found.error : "Hectares are being measured …";
      box.replaceChildren(table(key.items.map((item) => [named(item)])), make("p", { class: "note" }, waiting));
      return;
    }
    const rows = key.items.map((item, index) => [named(item), hectares(found.classes[index].hectares), percent(found.classes[index].share)]);
    const more = found.nodata_hectares ? make("p", { class: "note" }, `No data: ${hectares(found.nodata_hectares)} ha.`) : "";
    box.replaceChildren(table(rows, ["Class", "ha", "share"], ["Sum", hectares(found.hectares), ""]), more);
  };
  show(areas.get(key.areas));
  measured(key.areas).then(show);
  return box;
}

/** The areas of the map or of the truth; asked for until they are measured. */
async function measured(name) {
  for (;;) {
    const found = areas.get(name);
    if (found && found.state !== "measuring") return found;
    const answer = await fetch(`areas/${name}.json`).catch(() => null);
    if (!answer?.ok) return { state: "failed", error: "Hectares are not known: the server does not answer." };
    areas.set(name, await answer.json());
    if (areas.get(name).state === "measuring") await new Promise((done) => setTimeout(done, WAIT_MS));
  }
}

function ramp(key) {
  const bar = make("span", { class: "ramp", role: "img", "aria-label": `Colours from ${key.low} to ${key.high}` });
  bar.style.background = `linear-gradient(to right, ${key.stops.join(", ")})`;
  return make("div", {}, bar, make("div", { class: "ends" }, make("span", {}, key.low), make("span", {}, key.high)));
}

function bands(key) {
  const digits = (item) => Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.max(item.high - item.low, 1e-6)))));
  const rows = key.items.map((item) => [item.channel, item.band, `${item.low.toFixed(digits(item))} to ${item.high.toFixed(digits(item))}`]);
  return table(rows);
}
