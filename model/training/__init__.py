"""Training: the command, its loop, settings and presets, optimizers, and what is logged."""
