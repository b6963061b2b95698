"""Rasters: one file, several on one grid, the shards of an export, all of them as a lazy xarray dataset."""
