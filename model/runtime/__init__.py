"""Where training runs: device, processes, signals."""
