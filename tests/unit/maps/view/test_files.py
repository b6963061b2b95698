"""Files that change under a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps.view.files import Files
from cropcam.pipeline.maps.view.layers import MAP, Layer, Scene
from support.memory_source import make_grid


def test_a_file_that_is_written_again_or_gone_is_noticed(tmp_path: Path) -> None:
    one, other, share = (tmp_path / name for name in ("one.tif", "other.tif", "share.tif"))
    for path in (one, other, share):
        path.write_bytes(b"first")
    layer = Layer("classes", MAP, "Classes", "", one, (1,))
    layers = (layer, replace(layer, id="errors", minus=other))
    files = Files(Scene("map.tif", "map", make_grid(4, 4), layers, {}, shares={"probability": share}))
    files.check()
    other.write_bytes(b"second one")
    files.check(one)
    with pytest.raises(DataError, match=r"^other\.tif: was written again since the page was opened; start cropcam view again$"):
        files.check(one, other)
    with pytest.raises(DataError, match=r"^other\.tif: was written again"):
        files.check()
    share.unlink()
    with pytest.raises(DataError, match=r"^share\.tif: is gone since the page was opened"):
        files.check(share)
