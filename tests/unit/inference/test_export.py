"""Parts of an export; whole files are in tests/integration/test_export_model.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.inference.export import _is_exported, _map_program, _metadata, _patch_program, _random_dn, export_model
from cropcam.model.runs.checkpoint import load_network
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.errors import ConfigError
from support.map_runs import ENCODING, make_config, make_run, random_network


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint8", "float32"])
def test_the_values_of_the_check_are_of_the_stores_type_and_hold_nodata(dtype: str) -> None:
    encoding = BandEncoding.uniform(dtype, len(ENCODING), *((0.004, 0.0, 0.0) if dtype == "uint8" else (SCALE, OFFSET, 0.0)))
    config = make_config()
    config = replace(config, store=replace(config.store, encoding=encoding))
    dn = _random_dn(config, (3, 3, 20, 31)).numpy()
    assert (dn.shape, str(dn.dtype)) == ((3, 3, 20, 31), dtype)
    assert (dn[:, :, :2, :3] == 0).all()
    rest = encoding.physical(dn[:, :, 2:])
    np.testing.assert_allclose(np.nanmean(rest, axis=(0, 2, 3)), config.store.mean, atol=0.02)
    np.testing.assert_allclose(np.nanstd(rest, axis=(0, 2, 3)), config.store.std, rtol=0.1)


def test_the_metadata_names_input_and_output(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", random_network(), make_config())
    network, config = load_network(run, torch.device("cpu"))
    found = _metadata(run, config, _map_program(run, network, config, lambda _: None))
    assert found["bands"] == "SR_B4,SR_B5,SR_B6"
    assert found["classes"].split(",")[:2] == ["background", "corn"]
    assert found["input"] == (
        "dn (batch, band, y, x) uint16: values as stored; physical value = dn x scale + offset; scale 2.75e-05, offset -0.2, nodata 0.0"
    )
    assert found["method"] == "cam-argmax"
    assert found["output"].startswith("probabilities (batch, class, y, x): calibrated")
    assert (
        found["window"]
        == "a window of a raster gives the pixels of its map where it begins at a multiple of 4 px and holds 16 px more on each side"
    )
    of_patches = _metadata(run, config, _patch_program(run, network, config, lambda _: None))
    assert "method" not in of_patches
    assert of_patches["output"].startswith("logits (batch, class), above 0")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.h5: does not fit the kind of the file \(model\); end the name in \.onnx or \.pt2"):
        export_model(tmp_path / "run", tmp_path / "model.h5")
    with pytest.raises(ConfigError, match=r"--outputs maps: no such outputs; choose one of map, patches"):
        export_model(tmp_path / "run", tmp_path / "model.pt2", outputs="maps")


def test_what_was_exported_is_known_by_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(b"weights" * 100 + b"checkpoint_digest" + b"\0" * 9)
    (tmp_path / "other.onnx").write_bytes(b"weights" * 100)
    (tmp_path / "empty.onnx").touch()
    assert [_is_exported(tmp_path / f"{name}.onnx") for name in ("own", "other", "empty", "absent")] == [True, False, False, False]
