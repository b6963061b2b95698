"""What tests share: stores, run folders, rasters, scenes and the offline Earth Engine."""
