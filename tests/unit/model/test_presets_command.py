"""Names to choose from: they are those that work."""

from __future__ import annotations

import pytest

from cropcam.cli import main
from cropcam.model.networks import NETWORKS
from cropcam.model.options import KINDS
from cropcam.model.presets_command import as_text, names
from cropcam.model.training.presets import preset
from cropcam.pipeline.study.study import presets


def test_all_names_are_there() -> None:
    found = names()
    assert tuple(each["name"] for each in found["studies"]) == presets()
    assert set(NETWORKS) <= set(found["networks"])
    assert tuple(found["labels"]) == KINDS
    assert {"landsat", "sentinel-2", "hls"} <= {each["name"] for each in found["sensors"]}
    assert {"cdl", "worldcover"} <= {each["name"] for each in found["legends"]}
    assert all(preset(name, {}) for name in found["training"])


def test_a_study_has_its_area_years_and_patches() -> None:
    text = as_text(names())
    assert "longitude -94 to -86, latitude 37 to 41.5; Landsat Collection 2 Level 2; 2016; 197,469 patches" in text
    assert "2016, 3 seasons" in text


def test_an_unknown_shell_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "tcsh"])
    assert "'tcsh' (choose from" in (error := capsys.readouterr().err)
    assert all(shell in error for shell in ("bash", "zsh", "fish"))
    assert main(["completion", "fish"]) == 0
    assert "complete" in capsys.readouterr().out
