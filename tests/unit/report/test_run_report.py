"""The report of one run, from its folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cropcam.model.report.run_report import REPORT, write_report
from cropcam.pipeline.errors import DataError
from support.pages import Page


def test_the_page_has_every_metric_of_the_default_method(evaluated: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    path = write_report(evaluated, progress=lambda *step: steps.append(step))
    assert path == evaluated / REPORT
    assert [step[0] for step in steps] == [1, 2, 3, 4]
    page = Page(path.read_text())
    assert page.open == []
    metrics = json.loads((evaluated / "metrics.json").read_text())
    default = metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]
    for entry in default["per_class"].values():
        for name in ("accuracy", "precision", "f1", "iou"):
            assert (f"{entry[name]:.3f}" if entry[name] is not None else "\u2013") in page.text
    for counts in default["confusion"]:
        for share in np.array(counts) / max(sum(counts), 1):
            assert f"{100 * share:.1f}\u00a0%" in page.text
    assert metrics["provenance"]["checkpoint_digest"] in page.text


def test_the_page_has_the_errors_of_the_probabilities_and_a_curve_for_each_class(evaluated: Path, tmp_path: Path) -> None:
    page = Page(write_report(evaluated).read_text())
    metrics = json.loads((evaluated / "metrics.json").read_text())
    part = metrics["segmentation"]["calibration"]
    for key in ("ece", "classwise_ece", "brier"):
        assert f"{part[key]:.3f}" in page.text
        assert f"{part['before'][key]:.3f}" in page.text
    assert part["fit"] in page.text
    text = (evaluated / REPORT).read_text()
    assert text.count('aria-label="reliability of ') == 1 + len(part["per_class"])
    run = shutil.copytree(evaluated, tmp_path / "run")
    del metrics["segmentation"]["calibration"], metrics["provenance"]["content_digest"]  # an earlier version's
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "reliability of" not in write_report(run, store=evaluated.parent / "patches.zarr").read_text()


def test_a_damaged_environment_is_named(evaluated: Path, tmp_path: Path) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    (run / "environment.json").write_text("{")
    with pytest.raises(DataError, match=r"environment\.json, line 1, column 2: not JSON: .*; delete it"):
        write_report(run, store=evaluated.parent / "patches.zarr")


def test_each_row_of_the_pixel_matrix_has_its_total(evaluated: Path) -> None:
    text = write_report(evaluated).read_text()
    part = json.loads((evaluated / "metrics.json").read_text())["segmentation"]
    confusion = part["methods"][part["default"]]["confusion"]
    rows = re.findall(
        r'<th scope="row"><span class="swatch"[^>]*></span>([^<]+)<span>([\d,]+)</span></th><td[^>]*title="\1 predicted as', text
    )
    assert [int(total.replace(",", "")) for _, total in rows] == [sum(counts) for counts in confusion]
