"""The report of a run, and runs side by side."""
