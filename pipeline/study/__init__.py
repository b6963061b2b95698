"""The study: one validated configuration, and the polygons of its regions and hold-outs."""
