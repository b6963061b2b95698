"""Parts of an evaluation; whole ones are in tests/integration/test_evaluate.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.pipeline.errors import ConfigError


def test_an_unknown_split_is_refused_before_the_run_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'holdout'; known: train, validation, test"):
        evaluate(tmp_path / "absent", split="holdout")
