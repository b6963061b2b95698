// The map: the layer on top, the one beneath, the divider between them, the outline of the chosen pixel.

const L = globalThis.L;
const TRANSPARENT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

export class LayerMap {
  /** @param scene the server's description; @param events moved(), clicked({lat, lng}), drawn(id), failed(address of a tile). */
  constructor(element, scene, events) {
    this.bounds = L.latLngBounds(scene.bounds);
    this.scene = scene;
    this.events = events;
    this.map = L.map(element, { zoomControl: false, minZoom: scene.min_zoom, maxZoom: scene.max_zoom, zoomSnap: 1, maxBounds: this.bounds.pad(1), maxBoundsViscosity: 0.8 });
    this.map.attributionControl.setPrefix('<a href="https://leafletjs.com" rel="noreferrer">Leaflet</a>');
    L.control.zoom({ position: "topright", zoomInTitle: "Zoom in (+)", zoomOutTitle: "Zoom out (-)" }).addTo(this.map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    for (const [name, order] of [["beneath", 210], ["above", 220]]) this.map.createPane(name).style.zIndex = order;
    this.layers = { beneath: null, above: null };
    this.share = null;
    this.opacity = 1;
    this.map.on("move zoom viewreset resize", () => this.clip());
    this.map.on("moveend", () => events.moved());
    this.map.on("click", (event) => events.clicked(event.latlng));
    new ResizeObserver(() => this.map.invalidateSize({ animate: false })).observe(element);
  }

  whole() {
    this.map.fitBounds(this.bounds, { animate: false, padding: [12, 12] });
    this.map.setMinZoom(Math.max(this.scene.min_zoom, this.map.getZoom() - 1));
  }

  view(lat, lon, zoom) {
    this.map.setView([lat, lon], zoom, { animate: false });
  }

  /** Whether the map shows a place {lat, lon, z}: Leaflet moves a centre to whole pixels, and a link would wander each time it is opened. */
  isAt(place) {
    if (!place || place.z !== this.map.getZoom()) return false;
    return this.map.project([place.lat, place.lon]).distanceTo(this.map.project(this.centre)) < 1;
  }

  /** Draw a layer in a pane, "above" or "beneath"; none for an empty id. */
  draw(pane, id) {
    const before = this.layers[pane];
    if (before?.options.id === id) return;
    const layer = id
      ? L.tileLayer("tiles/{id}/{z}/{x}/{y}.png", {
          id, pane, bounds: this.bounds, noWrap: true, minZoom: this.scene.min_zoom, maxZoom: this.scene.max_zoom, errorTileUrl: TRANSPARENT, keepBuffer: 1,
        })
      : null;
    this.layers[pane] = layer;
    if (!layer) {
      before?.remove();
      return;
    }
    if (pane === "above") layer.setOpacity(this.opacity);
    const drawn = () => {
      before?.remove();
      this.events.drawn(id);
    };
    layer.once("load", drawn);
    layer.on("tileerror", (event) => this.events.failed(layer.getTileUrl(event.coords)));
    layer.addTo(this.map);
    if (before) before.setZIndex(0);
    layer.setZIndex(1);
    if (!layer.isLoading()) drawn(); // no tile of it is in sight
    this.clip();
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    this.layers.above?.setOpacity(opacity);
  }

  /** Show the upper layer to the right of the divider alone; `share` of the width from 0 to 1, null for everywhere. */
  swipe(share) {
    this.share = share;
    this.clip();
  }

  clip() {
    const pane = this.map.getPane("above");
    if (this.share === null) {
      pane.style.clipPath = "";
      return;
    }
    const size = this.map.getSize();
    const from = this.map.containerPointToLayerPoint([size.x * this.share, 0]);
    const to = this.map.containerPointToLayerPoint(size);
    pane.style.clipPath = `polygon(${from.x}px ${from.y}px, ${to.x}px ${from.y}px, ${to.x}px ${to.y}px, ${from.x}px ${to.y}px)`;
  }

  /** Outline a pixel, with a ring about it that is seen from afar; none without corners. */
  mark(corners) {
    this.outline?.remove();
    this.outline = corners ? L.layerGroup().addTo(this.map) : null;
    for (const [color, weight] of corners ? [["#000", 4], ["#fff", 2]] : []) {
      const style = { color, weight, fill: false, interactive: false };
      L.polygon(corners, style).addTo(this.outline);
      L.circleMarker(L.latLngBounds(corners).getCenter(), { ...style, radius: 15 }).addTo(this.outline);
    }
  }

  get centre() {
    return this.map.getCenter();
  }
}
