"""Train a run with settings as JSON, for tests that start it under torchrun: STORE RUN SETTINGS."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cropcam.model.options import Settings
from cropcam.model.training.train import train

if __name__ == "__main__":
    settings = json.loads(sys.argv[3])
    device = settings.pop("device", "cpu")
    train(Path(sys.argv[1]), Path(sys.argv[2]), Settings(**settings), device=device)
    if os.environ["RANK"] == "0":
        print("trained")
