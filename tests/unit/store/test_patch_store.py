"""A store is read as strictly as it was written: any patch, any window; what is damaged or missing is one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.patches.build import from_rasters
from cropcam.pipeline.store.patch_store import PatchStore, open_store, readable
from cropcam.pipeline.store.verify import check
from support.builds import build_study, small_blocks, write_inputs


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A store of 133 patches in blocks of 4 x 4, and the values of its rasters."""
    folder = tmp_path_factory.mktemp("built")
    image, labels, dn, codes = write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, 4)
        from_rasters(build_study(), image, labels, folder / "s.zarr")
    return folder / "s.zarr", dn, codes


@pytest.fixture
def copy(built: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> Path:
    return Path(shutil.copytree(built[0], tmp_path / "copy.zarr"))


@given(data=st.data())
def test_any_patches_in_any_order_and_any_window(built: tuple[Path, np.ndarray, np.ndarray], data: st.DataObject) -> None:
    path, dn, codes = built
    store = open_store(path)
    index = np.array(data.draw(st.lists(st.integers(0, len(store) - 1), max_size=9)), np.int64)
    images, labels = store.images(index), store.labels(index)
    assert (images.shape, labels.shape) == ((len(index), 2, 10, 10), (len(index), 10, 10))
    for place, row, col in zip(range(len(index)), store.row_N[index], store.col_N[index], strict=True):
        part = np.s_[row * 10 : row * 10 + 10, col * 10 : col * 10 + 10]
        np.testing.assert_array_equal(images[place], dn[:, *part])
        np.testing.assert_array_equal(labels[place], codes[part])
    top, left = data.draw(st.integers(0, 109)), data.draw(st.integers(0, 129))
    window = Window(top, left, data.draw(st.integers(1, 110 - top)), data.draw(st.integers(1, 130 - left)))
    np.testing.assert_array_equal(store.read(window), dn[:, *window.slices])
    np.testing.assert_array_equal(store.read_labels(window), codes[window.slices])


def test_what_a_store_says_of_itself(built: tuple[Path, np.ndarray, np.ndarray]) -> None:
    store = open_store(built[0])
    assert (len(store), store.bands, store.names, store.patch_shape) == (133, ("SR_B4", "SR_B5"), ("s.zarr",), (2, 10, 10))
    assert store.grid.shape_yx == (110, 130)
    place = store.row_N * 13 + store.col_N
    assert (np.diff(place) > 0).all()
    np.testing.assert_array_equal(store.valid_N, store.table("valid")[store.row_N, store.col_N])
    np.testing.assert_array_equal(store.share_NK, store.table("share")[store.row_N, store.col_N])
    parts = [store.split_indices(name) for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(133))


def test_a_split_without_a_patch(copy: Path) -> None:
    zarr.open_array(copy / "split")[:] = 0  # type: ignore[index]
    edit(tables={})(copy)  # as of a store of an earlier version
    with pytest.raises(DataError, match=r"copy\.zarr: no patch lies in the test split"):
        open_store(copy).split_indices("test")


def test_a_store_of_images_alone_has_no_labels(tmp_path: Path) -> None:
    image, _, dn, _ = write_inputs(tmp_path)
    from_rasters(build_study(), image, [], tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr")
    np.testing.assert_array_equal(store.read(Window(0, 0, 110, 130)), dn)
    for ask in (lambda: store.labels(np.array([0])), lambda: store.read_labels(Window(0, 0, 1, 1)), lambda: store.share_NK):
        with pytest.raises(DataError, match=r"s\.zarr: has no labels; build a store with them \(patches --labels FILE\)"):
            ask()


def flip(path: Path, place: int = 100) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def without_chunk(path: Path) -> None:
    """Take one chunk out of a zarr shard, as a writer does that leaves out what is fill value alone."""
    array = zarr.open_array(path, config={"write_empty_chunks": False})
    array[..., :10, :10] = 0  # type: ignore[index]


def read_all(store: PatchStore) -> None:
    store.read(Window(0, 0, 110, 130))
    store.read_labels(Window(0, 0, 110, 130))


def gather_all(store: PatchStore) -> None:
    store.images(np.arange(len(store)))
    store.labels(np.arange(len(store)))


@pytest.mark.parametrize("read", [read_all, gather_all])
@pytest.mark.parametrize("name", ["image", "label"])
@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (flip, "is damaged"),
        (lambda shard: flip(shard, -3), "is damaged"),  # in the index of the shard
        (lambda shard: shard.write_bytes(b""), "is damaged"),
        (lambda shard: shard.write_bytes(shard.read_bytes()[:50]), "is damaged"),
        (Path.unlink, "is missing"),
    ],
)
def test_shards_that_are_damaged_or_missing(
    copy: Path, name: str, harm: Callable[[Path], None], message: str, read: Callable[[PatchStore], None]
) -> None:
    shard = copy / name / "c" / ("0/1/2" if name == "image" else "1/2")
    store = open_store(copy)
    harm(shard)
    with pytest.raises(DataError, match=rf"^{shard}.*: {message} .*; delete the store and build it again with") as caught:
        read(store)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["image", "label"])
def test_a_chunk_that_is_missing_in_its_shard_is_not_nodata(copy: Path, name: str) -> None:
    without_chunk(copy / name)
    with pytest.raises(DataError, match=rf"copy\.zarr/{name}.*: is (missing|damaged) .*; delete the store and build it again") as caught:
        read_all(open_store(copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["valid", "share", "split", "reason"])
@pytest.mark.parametrize(("harm", "message"), [(lambda chunk: flip(chunk, 20), "is damaged"), (Path.unlink, "is missing")])
def test_tables_that_are_damaged_or_missing(copy: Path, name: str, harm: Callable[[Path], None], message: str) -> None:
    chunk = copy / name / "c" / "0" / ("1/0" if name == "share" else "1")
    harm(chunk)
    with pytest.raises(DataError, match=rf"^{chunk}: {message} .*; delete the store and build it again") as caught:
        open_store(copy).table(name)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_gone_altogether(copy: Path) -> None:
    shutil.rmtree(copy / "share")
    with pytest.raises(DataError, match=r"copy\.zarr/share.*: is missing"):
        _ = open_store(copy).share_NK


def edit(**changes: object) -> Callable[[Path], None]:
    """Change attributes of the root."""

    def harm(path: Path) -> None:
        root = json.loads((path / "zarr.json").read_text())
        root["attributes"] |= changes
        (path / "zarr.json").write_text(json.dumps(root))

    return harm


def of_schema_1(path: Path) -> None:
    """A folder as the versions before the map wrote it."""
    for part in path.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
    attributes = {"schema_version": 1, "study": {}, "bands": ["SR_B4"], "crs": "EPSG:4326"}
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (shutil.rmtree, r"no such store; make one with 'cropcam patches"),
        (lambda path: (path / "zarr.json").unlink(), r"is a folder without zarr\.json, not a patch store; name one, or make one"),
        (
            lambda path: (path / "zarr.json").rename(path / "zarr.json.partial"),
            "unfinished; run the 'cropcam patches' command that began it",
        ),
        *(
            (lambda path, text=text: (path / "zarr.json").write_text(text), rf"zarr\.json{message}; delete the store and build it again")
            for text, message in (
                ("{", ", line 1, column 2: not JSON: .*"),
                ("null", ": holds no JSON object but none"),
                ("[]", ": holds no JSON object but a list"),
                ("[" * 100_000, ": JSON nested deeper than 200"),
                ("{}", ": lacks attributes"),
            )
        ),
        (lambda path: (path / "zarr.json").write_bytes(b"\xff"), r"zarr\.json, line 1, column 1: byte 0xff is not UTF-8"),
        (of_schema_1, "schema version 1, this cropcam reads 2; delete it and build it again"),
        (edit(study={}), r"damaged patch store: attribute study\.study: field required"),
        (edit(width=131), r"image is of \(2, 110, 130\), its attributes make it \(2, 110, 131\)"),
        (edit(patch_size_px=11), r"valid is of \(11, 13\), its attributes make it \(10, 11\)"),
        (lambda path: shutil.rmtree(path / "label"), "label.*: is missing"),
        (lambda path: (path / "image" / "zarr.json").write_text("{"), "image.*: is damaged"),
    ],
)
def test_stores_that_are_not_sound(copy: Path, harm: Callable[[Path], None], message: str) -> None:
    harm(copy)
    with pytest.raises(DataError, match=message) as caught:
        open_store(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("split", 1), ("reason", 2), ("valid", 0.5), ("share", 0.25)])
def test_a_table_that_was_changed_is_not_used(copy: Path, name: str, value: float) -> None:
    assert {*open_store(copy).info.tables} == {"split", "reason", "valid", "share"}
    zarr.open_array(copy / name)[0, 0] = value  # type: ignore[index]
    with pytest.raises(DataError, match=rf"copy\.zarr/{name}: was changed after the store was made; 'cropcam check [^\n]*' lists all"):
        open_store(copy).table(name)
    assert any(f"{name}: was changed after the store was made" in problem for problem in check(copy).problems)


def test_the_digest_of_a_table_is_sha256_of_its_values(copy: Path) -> None:
    values = zarr.open_array(copy / "share", mode="r")[:]
    assert open_store(copy).info.tables["share"] == hashlib.sha256(np.asarray(values).tobytes()).hexdigest()


def test_labels_that_were_changed_are_not_used(copy: Path) -> None:
    store = open_store(copy)
    kept = store.classes(np.arange(len(store)))
    row, col = store.row_N[7] * 10 + 3, store.col_N[7] * 10 + 4
    label = zarr.open_array(copy / "label")
    label[row, col] = 5 if label[row, col] != 5 else 1  # type: ignore[index]
    np.testing.assert_array_equal(open_store(copy).classes(np.arange(7)), kept[:7])
    with pytest.raises(DataError, match=r"copy\.zarr/label: was changed after the store was made; 'cropcam check"):
        open_store(copy).classes(np.arange(8))


def giant(path: Path, rows: int) -> None:
    """A store whose attributes and arrays say that it has many patches, 10 px high, of which there are no files."""
    edit(height=rows * 10)(path)
    for name, axis, length in (
        ("image", 1, rows * 10),
        ("label", 0, rows * 10),
        *((name, 0, rows) for name in ("valid", "split", "reason", "share")),
    ):
        array = json.loads((path / name / "zarr.json").read_text())
        array["shape"][axis] = length
        (path / name / "zarr.json").write_text(json.dumps(array))


def test_no_memory_is_taken_for_patches_of_which_there_is_no_file(copy: Path) -> None:
    giant(copy, 10**8)
    with pytest.raises(
        DataError, match=r"image/c/0: holds 3 of 25,000,000 files that image of \(2, 1000000000, 130\) needs; delete the store"
    ):
        open_store(copy)


def test_a_chunk_larger_than_the_schema_makes_it_is_refused_before_it_is_read(copy: Path) -> None:
    array = json.loads((copy / "split" / "zarr.json").read_text())
    array["chunk_grid"]["configuration"]["chunk_shape"] = [10**6, 10**6]
    (copy / "split" / "zarr.json").write_text(json.dumps(array))
    with pytest.raises(DataError, match=r"split has zarr chunks of \(1000000, 1000000\), at most \(32, 32\) are possible"):
        open_store(copy)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("years")
    with pytest.raises(DataError, match="notes: is a file, not a patch store"):
        open_store(tmp_path / "notes")


def test_errors_without_a_text_have_their_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image: is damaged \(ValueError\)"), readable(tmp_path, "image"):
        raise ValueError


def test_blocks_of_patches_never_share_a_number(built: tuple[Path, np.ndarray, np.ndarray]) -> None:
    """13 columns of patches in blocks of 4 x 3: the last column of blocks is one patch wide and a block of its own."""
    store = open_store(built[0])
    found = store.blocks(4, 3)
    places = list(zip((store.row_N // 3).tolist(), (store.col_N // 4).tolist(), strict=True))
    assert len({*places}) == len({*found.tolist()}) == len({*zip(places, found.tolist(), strict=True)})
