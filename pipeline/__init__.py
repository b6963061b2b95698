"""The data plane: from a study file to GeoTIFF shards to a patch store to maps. Never imports torch."""

__version__ = "0.1.0"
