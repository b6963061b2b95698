"""The learning plane: from a patch store to networks, figures and predictions. Never imports ee, geemap or dask."""
