"""From network outputs and weak labels to a loss."""
