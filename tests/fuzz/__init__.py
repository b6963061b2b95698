"""Changed inputs of every kind, tried on the commands that read them: `python -m fuzz` (`make fuzz`), and a few in the suite."""
