"""Weak labels by kind. Only the truth that a kind of label allows is read.

presence   the classes that cover more than a given share of a patch
majority   the class that covers most of a patch
shares     class proportions of a patch, or of a bag of patches
points     the class of single pixels
pixels     the class of every pixel
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.model.labels import derive
from cropcam.model.labels.derive import Classes, Shares
from cropcam.model.options import KINDS, LabelOptions
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED

OF_PIXELS = ("points", "pixels")
UBIQUITOUS = 0.995  # share of patches above which a class counts as present everywhere
SUM_TOLERANCE = 1e-3  # of a patch's shares to 1: float32 rounds


@dataclass(frozen=True, kw_only=True)
class LabelSpec(LabelOptions):
    """How weak labels are derived from the truth, or read from files."""

    seed: int = 0  # of sampling and noise
    splits: tuple[str, ...] = ()  # of a file of points with a column `split`: those that count; empty = all
    # sha256 (hex) of the files of labels, by option; a file without one is not checked
    digests: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The labels in words.

        >>> str(LabelSpec(labels="presence", presence_min_share=0.05)), str(LabelSpec(labels="shares", bag_size=8, share_step=0.1))
        ('presence above 5 % of a patch', 'shares of bags of 8 patches, rounded to 0.1')
        """
        file, share = self.file, self.presence_min_share
        details = {
            "presence": f" above {100 * share:.4g} % of a patch" if share else " of any pixel",
            "shares": f" of bags of {self.bag_size} patches" if self.bag_size > 1 else "",
            "points": f", {self.points_per_patch} per patch",
        }
        parts = [
            self.kind + (f" of {PurePath(file).name}" if file else details.get(self.kind, "")),
            *([f"rounded to {self.share_step:g}"] if self.kind == "shares" and self.share_step else []),
            *([f"noise {self.share_noise:g}"] if self.kind == "shares" and self.share_noise else []),
            *([f"shrunk by {self.fields_buffer:g} m"] if self.fields_buffer else []),
            *([f"{100 * self.label_noise:.4g} % wrong"] if self.label_noise else []),
        ]
        return ", ".join(parts)


@dataclass(frozen=True)
class WeakLabels:
    """The weak labels of N patches. Truth that the kind of label does not allow is None: it was never read."""

    kind: str  # one of `KINDS`
    image_NK: Shares | None = None  # presence and majority 0 or 1, shares in 0..1; float32; a row of NaN is a patch without a label
    pixel_NHW: Classes | None = None  # class index, `UNLABELLED` (255) where a pixel has no label; uint8
    bag_N: npt.NDArray[np.int64] | None = None  # the bag whose proportions stand in `image_NK`; int64; patches of a bag have equal rows
    pct_NHW: npt.NDArray[np.uint8] | None = None  # weight of each label of `pixel_NHW` in per cent; None = 100
    pct_N: npt.NDArray[np.float32] | None = None  # weight of each patch in per cent; None = 100
    n_unmatched: int = 0  # from a file: points that lie in none of the patches, or patches without a label
    notes: tuple[str, ...] = ()  # from a file: how much of it was left out, a line for each reason

    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which patches have a label (N,)."""
        if self.pixel_NHW is not None:
            return np.asarray((self.pixel_NHW != UNLABELLED).any(axis=(1, 2)))
        assert self.image_NK is not None
        return np.asarray(~np.isnan(self.image_NK).any(axis=1))

    def of(self, index_B: npt.NDArray[np.int64]) -> WeakLabels:
        """The labels of some of the patches."""
        arrays: dict[str, Any] = {name: values[index_B] for name, values in vars(self).items() if isinstance(values, np.ndarray)}
        return replace(self, **arrays)

    @property
    def count(self) -> int:
        """Number of labels that can differ: labelled pixels, bags with proportions, or labelled patches."""
        if self.pixel_NHW is not None:
            return int(self.class_pixels().sum())
        labelled_N = self.labelled()
        return int(labelled_N.sum()) if self.bag_N is None else len(np.unique(self.bag_N[labelled_N]))

    def __len__(self) -> int:
        labels = self.pixel_NHW if self.image_NK is None else self.image_NK
        return 0 if labels is None else len(labels)

    def ubiquitous_classes(self) -> npt.NDArray[np.bool_] | None:
        """Classes (K,) present in nearly every labelled patch, from presence labels; None for other kinds. No label constrains their maps."""
        if self.kind != "presence" or self.image_NK is None:
            return None
        return np.asarray(np.nanmean(self.image_NK, axis=0) >= UBIQUITOUS)

    def class_pixels(self) -> npt.NDArray[np.int64]:
        """Number of labelled pixels by class index, (255,); zeros where labels are of patches."""
        count = np.zeros(UNLABELLED + 1, np.int64)
        if self.pixel_NHW is not None:
            for part in derive.slices(len(self.pixel_NHW)):
                count += np.bincount(self.pixel_NHW[part].ravel(), minlength=UNLABELLED + 1)
        return count[:UNLABELLED]


def weak_labels(
    spec: LabelSpec,
    classes: int,
    share_NK: Callable[[], Shares],
    truth_NHW: Callable[[], Classes],
    place_N2: Callable[[], npt.NDArray[np.int32]],
) -> WeakLabels:
    """The labels of one split. Only the callables that the kind of label needs are called.

    They give the class shares among the labelled pixels of each patch, the class index of every pixel (255 = unlabelled), and row and column
    of each patch on the patch grid.
    """
    random = np.random.default_rng([spec.seed, KINDS.index(spec.kind)])
    if spec.kind in OF_PIXELS:
        truth = truth_NHW() if spec.kind == "pixels" else derive.sample_points(truth_NHW(), spec.points_per_patch, random)
        return WeakLabels(spec.kind, pixel_NHW=derive.symmetric_label_noise(truth, spec.label_noise, classes, random))
    image_NK, bag_N = share_NK(), None
    unknown_N = ~(image_NK.sum(axis=1) > 0)  # shares are NaN without a labelled pixel
    if spec.kind == "shares":
        if spec.bag_size > 1:
            bag_N = derive.zorder_bags(place_N2(), spec.bag_size)
            image_NK = derive.bag_means(image_NK, unknown_N, bag_N)
        image_NK = derive.noisy_proportions(image_NK, spec.share_step, spec.share_noise, random)  # one draw of noise per bag
        image_NK = image_NK if bag_N is None else image_NK[bag_N]
    else:
        image_NK = derive.presence(image_NK, spec.presence_min_share) if spec.kind == "presence" else derive.majority(image_NK)
        image_NK = derive.flip_labels(image_NK, spec.label_noise, spec.kind == "presence", random)
    return WeakLabels(spec.kind, image_NK=np.where(unknown_N[:, None], np.float32(np.nan), image_NK), bag_N=bag_N)


def joined_labels(parts: Sequence[WeakLabels]) -> WeakLabels:
    """The labels of several stores from a file, one store behind the other. No bag has patches of two stores.

    A point or a polygon that one store lacks may lie in another: what a file has for no patch is counted for the store with the least of it.
    """

    def stacked(name: str) -> Any:  # noqa: ANN401 - an array or None
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    bags = [part.bag_N for part in parts]
    if bags[0] is not None:
        starts = np.cumsum([0, *(int(bag_N.max(initial=-1)) + 1 for bag_N in bags if bag_N is not None)])
        bags = [bag_N + start for bag_N, start in zip(bags, starts, strict=False) if bag_N is not None]
    points = parts[0].kind == "points"
    unmatched = [part.n_unmatched for part in parts]
    return WeakLabels(
        parts[0].kind,
        image_NK=stacked("image_NK"),
        pixel_NHW=stacked("pixel_NHW"),
        bag_N=None if bags[0] is None else np.concatenate(bags),  # type: ignore[arg-type]
        n_unmatched=min(unmatched) if points else sum(unmatched),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def validate_proportions(share_NK: Shares, index_N: npt.NDArray[np.int64]) -> Shares:
    """The shares of the patches `index_N` of a store, unchanged. A patch whose shares are all 0 or all NaN has no label.

    Raises:
        DataError: the shares of a patch are negative or do not add up to 1.
    """
    total_N = share_NK.sum(axis=1, dtype=np.float64)
    without_N = (share_NK == 0).all(axis=1) | np.isnan(share_NK).all(axis=1)
    wrong_N = ~without_N & ~((share_NK >= 0).all(axis=1) & (np.abs(total_N - 1) <= SUM_TOLERANCE))
    if wrong_N.any():
        first = int(wrong_N.argmax())
        raise DataError(
            f"{int(wrong_N.sum()):,} of {len(wrong_N):,} patches have class shares that are negative or do not add up to 1, the first is patch "
            f"{index_N[first]} of the store (sum {total_N[first]:.4g}, smallest {share_NK[first].min():.4g}): inspect it with "
            "'cropcam check STORE', and build it again with 'cropcam patches'"
        )
    return share_NK
