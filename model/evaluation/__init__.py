"""Metrics of a run with their confidence intervals, the model card and stored predictions."""
