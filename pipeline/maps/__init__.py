"""Maps: whole rasters, window by window, into Cloud Optimized GeoTIFFs."""
