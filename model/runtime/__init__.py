"""The machine that training runs on: device, processes, signals."""
