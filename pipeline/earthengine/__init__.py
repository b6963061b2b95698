"""Earth Engine: graphs, exports, pixels, previews. The only room that imports ee (and, in `preview` alone, geemap)."""
