"""Measurements, each run as `python -m benchmarks.NAME`; the last line printed is one JSON object of ratios and sizes."""
