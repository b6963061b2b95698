"""The map page on loopback: layers of a map, a store or a run, as web map tiles."""
