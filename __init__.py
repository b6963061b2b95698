"""From satellite rasters and weak labels to a crop map with honest numbers. The repository's root is this package."""

from cropcam.pipeline import __version__

__all__ = ["__version__"]
