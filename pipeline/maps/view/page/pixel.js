// What is known about the pixel under a click.

import { make, percent, swatch } from "./key.js";

/** Ask for a pixel, and show it; resolves with the answer. */
export async function ask(scene, lon, lat) {
  const found = document.getElementById("pixel-found");
  const text = document.getElementById("pixel-text");
  const answer = await fetch(`pixel.json?lon=${lon}&lat=${lat}`).catch(() => null);
  if (!answer?.ok) {
    const reason = answer ? await answer.text() : "The server does not answer.";
    found.replaceChildren(make("p", { class: "hint" }, reason));
    text.textContent = reason;
    return null;
  }
  const pixel = await answer.json();
  if (!pixel.inside) {
    found.replaceChildren(make("p", { class: "hint" }, "The point lies outside the map."));
    text.textContent = "The point lies outside the map.";
    return pixel;
  }
  found.replaceChildren(...parts(scene, pixel));
  text.textContent = sentence(scene, pixel);
  return pixel;
}

const known = (pixel, name) => pixel[name] !== undefined;
const differs = (pixel) => pixel.class && pixel.truth && pixel.class !== pixel.truth;

function parts(scene, pixel) {
  const colors = new Map(scene.classes.map((item) => [item.name, item.color]));
  const label = (name) => (name === null ? ["no data"] : [swatch(colors.get(name)), name]);
  const lines = [];
  if (known(pixel, "class")) lines.push(["Class", label(pixel.class)]);
  if (known(pixel, "truth")) lines.push(["Truth", label(pixel.truth)]);
  if (differs(pixel)) lines.push(["", [make("span", { class: "differs" }, "map and truth differ")]]);
  if (typeof pixel.uncertainty === "number") lines.push(["Uncertainty", [pixel.uncertainty.toFixed(2)]]);
  lines.push(["Lon, lat", [`${pixel.lon.toFixed(5)}, ${pixel.lat.toFixed(5)}`]], ["Row, column", [`${pixel.row}, ${pixel.col}`]]);
  const made = [make("dl", { class: "place" }, ...lines.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...value)]))];
  if (Array.isArray(pixel.probability)) made.push(make("h3", {}, "Probability"), bars(scene, pixel.probability, (value) => percent(value)));
  if (Array.isArray(pixel.activation)) made.push(make("h3", {}, "Activation"), bars(scene, pixel.activation, (value) => value.toFixed(2)));
  if (pixel.bands) made.push(make("h3", {}, "Bands"), bandTable(pixel.bands));
  return made;
}

function bars(scene, values, format) {
  const rows = values.map((value, index) => {
    const item = scene.classes[index];
    const name = make("th", { scope: "row" }, swatch(item.color), item.name);
    if (value === null) return make("tr", {}, name, make("td", { class: "bar" }), make("td", {}, "no data"));
    const bar = make("span");
    bar.style.width = `${100 * value}%`;
    bar.style.background = item.color;
    return make("tr", {}, name, make("td", { class: "bar", "aria-hidden": "true" }, make("div", {}, bar)), make("td", {}, format(value)));
  });
  return make("table", {}, make("tbody", {}, ...rows));
}

function bandTable(bands) {
  const rows = Object.entries(bands).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value === null ? "no data" : String(Number(value.toPrecision(4))))),
  );
  return make("table", {}, make("tbody", {}, ...rows));
}

function sentence(scene, pixel) {
  const told = [`Row ${pixel.row}, column ${pixel.col}`];
  if (known(pixel, "class")) told.push(`class ${pixel.class ?? "no data"}`);
  if (Array.isArray(pixel.probability) && pixel.class) {
    const index = scene.classes.findIndex((item) => item.name === pixel.class);
    told.push(`probability ${percent(pixel.probability[index], 0)}`);
  }
  if (known(pixel, "truth")) told.push(`truth ${pixel.truth ?? "no data"}`);
  return `${told.join(", ")}.`;
}
