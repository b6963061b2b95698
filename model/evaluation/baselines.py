"""Simple per-pixel classifiers on the pixels of a run: baselines beside its network.

scikit-learn is imported only here, and only for `evaluate --baselines` (the extra `baselines`).
Axis suffixes: N patch of the training split, B batch, C band, H/W rows and columns, K class, P pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.patch_store import PatchStore

PIXELS, TREES, BATCH = 100_000, 100, 256
Classes = npt.NDArray[np.uint8]
Predict = Callable[[npt.NDArray[np.float32]], Classes]


@dataclass(frozen=True)
class Baseline:
    """A classifier of single pixels.

    Attributes:
        name: as in metrics.json.
        pixels: labelled pixels of its training; None where it was trained on class shares.
        predict: physical values (P, C), such as reflectance, to class indices (P,).
    """

    name: str
    pixels: int | None
    predict: Predict

    def segment(self, values_BCHW: npt.NDArray[np.float32]) -> Classes:
        """Class index (B, H, W) of each pixel of physical values; 0 without image data in every band, pixels that no metric counts."""
        valid_BHW = ~np.isnan(values_BCHW).any(axis=1)
        class_BHW = np.zeros(valid_BHW.shape, np.uint8)
        if valid_BHW.any():
            class_BHW[valid_BHW] = self.predict(np.moveaxis(values_BCHW, 1, -1)[valid_BHW])
        return class_BHW


def segment_all(baselines: Sequence[Baseline], store: PatchStore, patches_B: npt.NDArray[np.int64]) -> dict[str, Classes]:
    """Class indices (B, H, W) by name for patches of the store."""
    if not baselines:
        return {}
    values_BCHW = store.encoding.physical(store.images(patches_B))
    return {baseline.name: baseline.segment(values_BCHW) for baseline in baselines}


def fit(store: PatchStore, legend: Legend, kind: str, labelled_NHW: Classes | None, seed: int) -> tuple[list[Baseline], list[str]]:
    """Baselines, and a sentence for each that cannot be trained: the training split's commonest class, a random forest, a logistic regression.

    The latter two are trained on the pixels with a label of the run (`-labels`) and on pixels of the whole training
    split with their true classes (`-all`), at most 100,000 of each, drawn evenly from the patches. Features are the
    physical values of one pixel; 100 trees; the regression standardises them.

    Args:
        store: the run's store.
        legend: its classes.
        kind: of the run's labels.
        labelled_NHW: the labels of the training split's pixels, 255 = unlabelled, in the store's order; None for a kind
            that labels no pixel.
        seed: of the draws and the trees.

    Raises:
        ConfigError: scikit-learn is not installed.
        DataError: the training split is empty.
    """
    makers = _makers(seed)
    index_N = store.split_indices("train")
    commonest = int(np.nansum(store.share_NK[index_N], axis=0).argmax())
    baselines = [Baseline("majority-of-train", None, lambda pixels_PC: np.full(len(pixels_PC), commonest, np.uint8))]
    sources: dict[str, Callable[[npt.NDArray[np.int64]], Classes]] = {"all": lambda place_B: legend.index(store.labels(index_N[place_B]))}
    notes = []
    if labelled_NHW is None:
        notes.append(f"{kind} labels give no pixel a class: there is no baseline trained on labelled pixels")
    else:
        sources = {"labels": labelled_NHW.__getitem__, **sources}
    for suffix, classes_of in sources.items():
        pixels_PC, class_P = sample(store, index_N, classes_of, np.random.default_rng([seed, len(suffix)]))
        if (classes := len(np.unique(class_P))) < 2:
            notes.append(f"-{suffix}: {len(class_P)} labelled pixels of {classes} classes are too few to train a baseline")
            continue
        baselines += [Baseline(f"{name}-{suffix}", len(class_P), make().fit(pixels_PC, class_P).predict) for name, make in makers.items()]
    return baselines, notes


def sample(
    store: PatchStore,
    index_N: npt.NDArray[np.int64],
    classes_of: Callable[[npt.NDArray[np.int64]], Classes],
    random: np.random.Generator,
    limit: int = PIXELS,
) -> tuple[npt.NDArray[np.float32], Classes]:
    """At most `limit` pixels with a class and image data: physical values (P, C) and class (P,).

    The same number from each patch, as far as it has them, so that no patch is left out and memory is bounded by the draw.

    Args:
        store: the store.
        index_N: its patches.
        classes_of: class indices (B, H, W) of the patches at these places of `index_N`, 255 = none.
        random: source of the draw.
        limit: pixels at most.
    """
    places_N = np.sort(random.permutation(len(index_N))[:limit])
    per_patch = -(-limit // len(places_N))
    drawn = []
    for first in range(0, len(places_N), BATCH):
        places_B = places_N[first : first + BATCH]
        classes_BHW = classes_of(places_B)
        values_BHWC = np.moveaxis(store.encoding.physical(store.images(index_N[places_B])), 1, -1)
        usable_BP = ((classes_BHW != UNLABELLED) & ~np.isnan(values_BHWC).any(axis=-1)).reshape(len(places_B), -1)
        # a random key per pixel, unusable ones last: the first `per_patch` usable ones are a fair draw
        order_BP = np.argsort(np.where(usable_BP, random.random(usable_BP.shape), 2.0), axis=1)[:, :per_patch]
        chosen = np.take_along_axis(usable_BP, order_BP, axis=1)
        row_P, pixel_P = np.repeat(np.arange(len(places_B)), chosen.sum(axis=1)), order_BP[chosen]
        drawn.append((values_BHWC.reshape(*usable_BP.shape, -1)[row_P, pixel_P], classes_BHW.reshape(usable_BP.shape)[row_P, pixel_P]))
    values_PC, class_P = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    kept = np.sort(random.permutation(len(class_P))[:limit])
    return values_PC[kept], class_P[kept]


def _makers(seed: int) -> dict[str, Callable[[], Any]]:
    try:
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - an extra, and slow to import
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    except ImportError:
        raise ConfigError("--baselines needs scikit-learn: pip install 'cropcam[baselines]', or leave it out") from None
    return {
        "random-forest": lambda: RandomForestClassifier(TREES, random_state=seed % 2**32, n_jobs=-1),
        "logistic-regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
