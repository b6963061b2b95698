"""French-style parcels with local crop codes as labels, the whole way: pixels, points and shares, and another CRS than the store's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import shapely

from cropcam.cli import main
from cropcam.model.data.dataset import read_labels
from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.options import declared
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import open_store
from support.store_parts import all_labels
from support.stores import make_store
from support.vectors import pixel_box, write_vectors

CODES = {"background": ["JAC", "SNE"], "corn": ["MIS", "MIE"], "soybean": ["SOJ"], "forest": ["BOP"], "grassland": ["PPH"]}
CADASTRE = "EPSG:32615"  # the metric CRS of the parcels; the store is in degrees


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, the parcels of its true fields as a GeoPackage, as RPG has them, and the table of their crops."""
    folder = tmp_path_factory.mktemp("rpg")
    info = make_store(folder / "s.zarr", count=60, size_px=16)
    store = open_store(folder / "s.zarr")
    rng, shapes, crops = np.random.default_rng(1), [], []
    for row, col, codes in zip(store.row_N, store.col_N, all_labels(store.path), strict=True):
        classes = info.classes.index(codes)
        for index in np.unique(classes):
            cells = [
                pixel_box(info, 16 * row + y, 16 * col + x, 16 * row + y + 1, 16 * col + x + 1)
                for y, x in zip(*np.nonzero(classes == index), strict=True)
            ]
            for part in shapely.get_parts(shapely.union_all(cells)):
                shapes.append(part)
                crops.append(str(rng.choice(CODES[info.classes.names[index]])))
    shapes.append(shapely.box(2.0, 48.0, 2.001, 48.001))  # a parcel in France
    crops.append("BTH")
    columns = {"ID_PARCEL": [str(number) for number in range(len(shapes))], "CODE_CULTU": crops}
    write_vectors(folder / "rpg.gpkg", shapes, columns, info.crs, to_crs=CADASTRE)
    lines = [f"{code},{name}" for name, codes in CODES.items() for code in codes if code != "SNE"]
    (folder / "cultures.csv").write_text("CODE_CULTU,class\n" + "\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("kind", ["pixels", "points", "shares"])
def test_parcels_train_and_are_evaluated(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / kind
    words = ["train", folder / "s.zarr", "--run", run, "--labels", kind, "--fields", folder / "rpg.gpkg"]
    words += ["--label-table", folder / "cultures.csv", "--fields-buffer", 10, "--epochs", 1, "--device", "cpu", "--batch-size", 8]
    assert main([str(word) for word in words]) == 0
    told = capsys.readouterr().err
    assert re.search(r"rpg\.gpkg: \d+ of its features \(crops that cultures\.csv does not have\) .* give no label: 'SNE' \(\d+", told)
    assert "1 of its" in told.partition("lie outside the store")[0].splitlines()[-1]
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["provenance"]["labels_rule"] == f"{kind} of rpg.gpkg, shrunk by 10 m"
    assert metrics["segmentation"]["methods"][metrics["segmentation"]["default"]]["pixel_accuracy"] > 0.2
    assert f"truth from {folder / 'rpg.gpkg'}" in (run / "README.md").read_text()


def test_pixels_of_parcels_are_the_truth_inside_them(folder: Path) -> None:
    store = open_store(folder / "s.zarr")
    index, files = np.arange(len(store)), {"fields": str(folder / "rpg.gpkg"), "label_table": str(folder / "cultures.csv")}
    found = read_labels(store, index, LabelSpec(labels="pixels", **files), store.info.classes).pixel_NHW  # type: ignore[arg-type]
    assert found is not None
    labelled, truth = found != UNLABELLED, store.info.classes.index(store.labels(index))
    np.testing.assert_array_equal(found[labelled], truth[labelled])
    assert labelled[truth != 0].mean() > 0.99
    inner = read_labels(store, index, LabelSpec(labels="pixels", fields_buffer=20, **files), store.info.classes).pixel_NHW  # type: ignore[arg-type]
    assert inner is not None
    assert ((inner != UNLABELLED) <= labelled).all()
    assert (inner != UNLABELLED).sum() < 0.9 * labelled.sum()


def test_bad_files_end_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", str(folder / "s.zarr"), "--run", str(folder / "bad"), "--labels", "pixels", "--fields", str(folder / "rpg.gpkg")]
    assert main(words) == 3
    assert "rpg.gpkg: no column 'class' among ID_PARCEL, CODE_CULTU; name the column" in capsys.readouterr().err
    assert main([*words, "--label-column", "CULTURE"]) == 3
    assert "no column 'CULTURE'; its columns are CODE_CULTU, ID_PARCEL" in capsys.readouterr().err
    assert main([*words, "--label-table", "nowhere.csv"]) == 2
    assert "--label-table nowhere.csv: No such file" in capsys.readouterr().err
    assert not (folder / "bad").exists()


def test_the_page_names_options_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text("utf-8")
    named = set(re.findall(r"--(points|fields[a-z-]*|areas[a-z-]*|label-[a-z]+)", page))
    assert {name.replace("-", "_") for name in named} <= set(declared())
    assert len(named) == 6
