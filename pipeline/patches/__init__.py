"""Building a patch store: blocks as dask tasks, measured, split and summed up."""
