"""Metrics of a run with their confidence intervals, baselines, the model card and stored predictions."""
