// The page: one state, drawn by map, panel and legend, kept in the address.

import * as key from "./key.js";
import { LayerMap } from "./map.js";
import { Panel } from "./panel.js";
import * as pixel from "./pixel.js";
import * as address from "./state.js";

const at = (id) => document.getElementById(id);
const STEP = 0.1;
const SWIPE_STEP = 0.02;

const answer = await fetch("scene.json").catch(() => null);
if (!answer?.ok) say("The server does not answer: start cropcam view again.", 0);
else start(await answer.json());

function start(scene) {
  const state = { top: scene.top, base: scene.base, opacity: 1, share: null, chosen: null, place: null };
  let written = "";
  const map = new LayerMap(at("map"), scene, {
    moved: () => keep(),
    clicked: (place) => choose(place.lng, place.lat),
    failed: (tile) => explain(tile),
    drawn: (id) => {
      document.documentElement.dataset.drawn = id;
      if (!document.documentElement.dataset.firstMs) document.documentElement.dataset.firstMs = String(Math.round(performance.now()));
    },
  });
  const panel = new Panel(scene, change);

  function change(wanted) {
    if (wanted.top !== undefined) state.top = wanted.top;
    if (wanted.base !== undefined) state.base = wanted.base;
    if (wanted.opacity !== undefined) state.opacity = Math.min(1, Math.max(0, wanted.opacity));
    if (wanted.swipe) state.share = state.share === null && state.base ? 0.5 : null;
    if (wanted.share !== undefined) state.share = Math.min(1, Math.max(0, wanted.share));
    if (!state.base) state.share = null;
    show();
    keep();
  }

  function show() {
    map.draw("beneath", state.base);
    map.draw("above", state.top);
    map.setOpacity(state.opacity);
    map.swipe(state.share);
    panel.show(state);
    divide();
    const seen = state.share !== null || state.opacity < 1 ? [state.top, state.base] : [state.top];
    const shown = [...new Set(seen.filter(Boolean))];
    const zoomedOut = map.map.getZoom() < scene.native_zoom;
    const now = `${shown} ${zoomedOut}`;
    if (at("key").dataset.shown !== now) {
      key.draw(at("key"), shown.map((id) => panel.layer(id)), zoomedOut);
      at("key").dataset.shown = now;
    }
  }

  function divide() {
    const divider = at("divider");
    divider.hidden = state.share === null;
    if (state.share === null) return;
    divider.style.left = `${100 * state.share}%`;
    divider.setAttribute("aria-valuenow", String(Math.round(100 * state.share)));
    const name = (id) => [panel.layer(id).family, panel.layer(id).variant].filter(Boolean).join(": ");
    divider.querySelector(".left").textContent = name(state.base);
    divider.querySelector(".right").textContent = name(state.top);
  }

  function keep() {
    if (!map.map._loaded) return;
    if (!map.isAt(state.place)) state.place = { lat: map.centre.lat, lon: map.centre.lng, z: map.map.getZoom() };
    address.write({
      z: state.place.z, lat: state.place.lat, lon: state.place.lon, top: state.top, base: state.base || undefined, o: 100 * state.opacity,
      w: state.share ?? undefined, at: state.chosen ? state.chosen.map((value) => value.toFixed(6)).join(",") : undefined,
    });
    written = location.hash;
    show();
  }

  function restore() {
    const wanted = address.read();
    const exists = (id) => panel.layer(id) !== undefined;
    state.top = exists(wanted.top) ? wanted.top : scene.top;
    state.base = wanted.top === undefined ? scene.base : exists(wanted.base) ? wanted.base : "";
    state.opacity = Math.min(100, Math.max(0, wanted.o ?? 100)) / 100;
    state.share = wanted.w === undefined || !state.base ? null : Math.min(1, Math.max(0, wanted.w));
    map.whole();
    if (wanted.lat !== undefined && wanted.lon !== undefined && map.bounds.pad(0.5).contains([wanted.lat, wanted.lon])) {
      state.place = { lat: wanted.lat, lon: wanted.lon, z: wanted.z ?? scene.native_zoom };
      map.view(state.place.lat, state.place.lon, state.place.z);
    }
    change({});
    const place = wanted.at?.split(",").map(Number);
    if (place?.length === 2 && place.every(Number.isFinite)) choose(...place);
  }

  async function choose(lon, lat) {
    state.chosen = [lon, lat];
    keep();
    const found = await pixel.ask(scene, lon, lat);
    map.mark(found?.outline);
    if (matchMedia("(max-width: 700px)").matches) {
      fold(false);
      at("content").scrollTop = at("pixel").offsetTop - at("content").offsetTop;
    }
  }

  function fold(folded) {
    at("panel").classList.toggle("folded", folded);
    at("fold").setAttribute("aria-expanded", String(!folded));
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied. It holds while this server runs.");
    } catch {
      say("Copy the address of this page: it holds the view.");
    }
  }

  function drag() {
    const divider = at("divider");
    const move = (event) => {
      const box = at("map").getBoundingClientRect();
      change({ share: (event.clientX - box.left) / box.width });
    };
    divider.addEventListener("pointerdown", (event) => {
      divider.setPointerCapture(event.pointerId);
      divider.addEventListener("pointermove", move);
      event.preventDefault();
      divider.focus();
    });
    const end = () => divider.removeEventListener("pointermove", move);
    divider.addEventListener("pointerup", end);
    divider.addEventListener("pointercancel", end);
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -SWIPE_STEP, ArrowRight: SWIPE_STEP, PageDown: -5 * SWIPE_STEP, PageUp: 5 * SWIPE_STEP, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      change({ share: state.share + step });
    });
  }

  function keys(event) {
    const writes = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "radio";
    if (event.ctrlKey || event.metaKey || event.altKey || at("keys").open || writes) return;
    const family = panel.families[Number(event.key) - 1];
    const actions = {
      "[": () => change({ top: panel.beside(state.top, -1) }),
      "]": () => change({ top: panel.beside(state.top, 1) }),
      ",": () => change({ opacity: state.opacity - STEP }),
      ".": () => change({ opacity: state.opacity + STEP }),
      s: () => change({ swipe: true }),
      m: () => at("map").focus(),
      h: () => map.whole(),
      c: copy,
      f: () => fold(!at("panel").classList.contains("folded")),
      "?": () => at("keys").showModal(),
    };
    if (event.key === "Enter" && event.target === at("map")) choose(map.centre.lng, map.centre.lat);
    else if (family) change({ top: panel.of(family) });
    else if (Object.hasOwn(actions, event.key)) actions[event.key]();
    else return;
    event.preventDefault();
  }

  drag();
  for (const name of ["keydown", "pointerdown"]) {
    addEventListener(name, () => document.querySelector("main").classList.toggle("by-keys", name === "keydown"), { capture: true });
  }
  at("copy").addEventListener("click", copy);
  at("help").addEventListener("click", () => at("keys").showModal());
  at("fold").addEventListener("click", () => fold(!at("panel").classList.contains("folded")));
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", () => location.hash !== written && restore());
  restore();
}

/** Say why a tile did not come, once for many. */
async function explain(tile) {
  if (explain.asked) return;
  explain.asked = true;
  setTimeout(() => (explain.asked = false), 5000);
  const answer = await fetch(tile).catch(() => null);
  if (!answer) say("The server does not answer: start cropcam view again.", 0);
  else if (!answer.ok) say(await answer.text(), 0);
}

/** A line over the map that goes after a while; 0 = it stays. */
function say(text, forMs = 3500) {
  const message = at("message");
  message.textContent = text;
  message.hidden = false;
  clearTimeout(say.timer);
  if (forMs) say.timer = setTimeout(() => (message.hidden = true), forMs);
}
