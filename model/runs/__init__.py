"""The run folder: its configuration, checkpoints, history and lock."""
