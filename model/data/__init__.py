"""From a patch store to batches: the dataset, its loading, the order of patches, normalization."""
