"""The learning plane: from a patch store to networks, metrics and predictions. Never imports ee, geemap or dask.

Axis suffixes of arrays and tensors: N patch, B patch of a batch, G bag, P pixel or point, C band, K class, F feature (polygon in `labels.areas`),
H/W rows and columns, h/w rows and columns of feature maps; a digit is a length.
"""
