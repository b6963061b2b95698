"""A store that a run was not trained on: what fits, what is refused, which split is scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.model.evaluation.elsewhere import check_units, open_elsewhere
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.joined import JoinedStore
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.runs import make_config
from support.stores import make_store, make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    for seed, name in enumerate(("home", "away")):
        make_store(folder / f"{name}.zarr", count=12, size_px=8, seed=seed)
    make_store(folder / "few.zarr", count=12, size_px=8, study=make_study(8, classes={"corn": (1,)}))
    return folder


def test_the_own_store_is_home_and_another_is_not(folder: Path) -> None:
    home, away = (open_store(folder / f"{name}.zarr") for name in ("home", "away"))
    config = make_config(home.path, home.info)
    own = open_elsewhere(folder / "run", config, home.path, None)
    assert (own.home, own.split, own.name) == (True, "test", "home")
    other = open_elsewhere(folder / "run", config, away.path, None)
    assert (other.home, other.split, other.folder) == (False, "all", folder / "run" / "on" / f"away-{away.info.digest[:8]}")
    assert other.about() == {"name": "away", "path": str(away.path), "digest": away.info.digest}
    assert open_elsewhere(folder / "run", config, away.path, "validation").split == "validation"


def test_other_classes_are_read_as_the_runs(folder: Path) -> None:
    home = open_store(folder / "home.zarr")
    opened = open_elsewhere(folder / "run", make_config(home.path, home.info), folder / "few.zarr", None).store
    assert isinstance(opened, JoinedStore)
    assert opened.info.classes == home.info.classes
    assert opened.share_NK.shape == (12, len(home.info.classes))


def test_values_of_another_unit_are_refused(folder: Path) -> None:
    home = open_store(folder / "home.zarr")
    config = make_config(home.path, home.info)
    check_units(home, config, Path("run"))
    mean = home.info.statistics["mean"]
    other = replace(home.info, statistics=home.info.statistics | {"mean": [mean[0], 1e4 * mean[1], *mean[2:]]})
    message = r"the mean of SR_B2 is \d+\.?\d*, in the training data of run it is 0\.\d+ .*of another unit; .*--scale S --offset O"
    with pytest.raises(DataError, match=message):
        check_units(PatchStore(home.path, other), config, Path("run"))
