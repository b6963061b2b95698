"""Segmentation: predictions over patches, the methods, and their fit to a training split."""
