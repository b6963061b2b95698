"""Parts of an export; whole files are in tests/integration/test_export_model.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cropcam.model.data.normalization import Normalization, standardise
from cropcam.model.inference.export import Exported, _difference, _is_exported, _metadata, _random_dn, export_model
from cropcam.model.runs.checkpoint import load_network
from cropcam.pipeline.errors import ConfigError
from support.map_runs import ENCODING, make_config, make_run, random_network


@pytest.fixture
def model() -> Exported:
    return Exported(random_network(), make_config()).eval()


def test_the_module_takes_dn_and_ignores_pixels_without_data(model: Exported) -> None:
    dn = _random_dn(make_config(), patches=2)
    with torch.no_grad():
        logits, maps = model(dn)
        x, valid = standardise(dn, Normalization.of(make_config(), "cpu"))
        expected = model.network(x, valid)
    torch.testing.assert_close(valid, (dn != 0).all(dim=1))
    torch.testing.assert_close(logits, expected.logits_BK)
    assert maps.shape == (2, 5, 16, 16)


def test_the_patches_of_the_check_hold_pixels_without_data() -> None:
    dn = _random_dn(make_config(), patches=3).numpy()
    assert dn.shape == (3, 3, 16, 16)
    assert (dn[:, :, :2, :3] == 0).all()
    rest = ENCODING.physical(dn[:, :, 2:])
    np.testing.assert_allclose(rest.mean(axis=(0, 2, 3)), make_config().store.mean, atol=0.02)
    np.testing.assert_allclose(rest.std(axis=(0, 2, 3)), make_config().store.std, rtol=0.1)


def test_the_difference_is_relative_to_the_largest_value(model: Exported) -> None:
    dn = _random_dn(make_config(), patches=1)
    with torch.no_grad():
        logits, maps = model(dn)
    assert _difference(model, model, dn) == 0
    assert _difference(model, lambda _: (logits, maps + 0.01 * maps.abs().max()), dn) == pytest.approx(0.01, rel=1e-3)
    assert np.isnan(_difference(model, lambda _: (logits, maps[:, :2]), dn))
    assert not _difference(model, lambda _: (logits * torch.nan, maps), dn) <= 1


def test_the_metadata_names_input_and_output(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", random_network(), make_config())
    _, config = load_network(run, torch.device("cpu"))
    found = _metadata(run, config)
    assert found["bands"] == "SR_B4,SR_B5,SR_B6"
    assert found["classes"].split(",")[:2] == ["background", "corn"]
    assert found["input"].endswith("physical value = dn x scale + offset; scale 2.75e-05, offset -0.2, nodata 0.0")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.h5: name a file that ends in .onnx or .pt2"):
        export_model(tmp_path / "run", tmp_path / "model.h5")


def test_what_was_exported_is_known_by_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(b"weights" * 100 + b"checkpoint_digest" + b"\0" * 9)
    (tmp_path / "other.onnx").write_bytes(b"weights" * 100)
    (tmp_path / "empty.onnx").touch()
    assert [_is_exported(tmp_path / f"{name}.onnx") for name in ("own", "other", "empty", "absent")] == [True, False, False, False]
