"""From activation maps to a segmentation.

Every method is an affine map of each class's activation map, then the largest: only where the numbers come from differs. Two of them ask the image too, at borders;
one of these adds a level per class there (`model.levels`).
Nothing here sees the truth of a pixel but what is called oracle, and that is never a run's default.
Axis suffixes: N patch, B batch, C band, K class, H/W rows and columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.cam import winners
from model.checkpoint import write_json
from model.levels import raised
from model.spectra import Spectra, borders, by_spectra, seen

SEGMENT = "segment.json"
POSTER = "cam-argmax"
BORDER_LEVELS = "border-levels"
Floats = npt.NDArray[np.floating[Any]]
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Method:
    """scale x activation map + offset, per class, and at borders what spectra and levels say; the largest wins.

    Attributes:
        name: as in metrics.json.
        scale_K: above 0; 0 for classes that get what the others leave: the first of them, unless offsets say which.
        offset_K: in units of the scaled maps.
        gated: only classes that are said to be present in the patch may win, unless none is.
        oracle: its numbers were fitted on the truth of pixels.
        mean_KC, cov_CC: of `model.spectra.Spectra`: at borders the pixel's spectrum is heard too; empty = it is not.
        level_K: added to the scores at borders, in nats; empty = nothing.
    """

    name: str
    scale_K: tuple[float, ...]
    offset_K: tuple[float, ...]
    gated: bool = False
    oracle: bool = False
    mean_KC: Rows = ()
    cov_CC: Rows = ()
    level_K: tuple[float, ...] = ()

    def scores(self, cams_BKHW: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
        """What is compared (B, K, H, W); of each patch by itself. Arguments as of a call."""
        scores_BKHW = self._affine(cams_BKHW)
        if self.mean_KC:
            known = Spectra(*(x_BCHW.new_tensor(rows, dtype=torch.float32) for rows in (self.mean_KC, self.cov_CC)))
            scores_BKHW = by_spectra(scores_BKHW.log_softmax(dim=1), x_BCHW, valid_BHW, known)
        if self.level_K:
            scores_BKHW = raised(scores_BKHW, scores_BKHW.new_tensor(self.level_K), self.borders(cams_BKHW))
        return scores_BKHW

    def borders(self, cams_BKHW: Tensor) -> Tensor:
        """Where two classes meet (B, H, W), bool, before spectra and levels are heard."""
        return borders(winners(self._affine(cams_BKHW)))

    def _affine(self, cams_BKHW: Tensor) -> Tensor:
        scale_K, offset_K = (cams_BKHW.new_tensor(values)[:, None, None] for values in (self.scale_K, self.offset_K))
        return cams_BKHW * scale_K + offset_K

    def __call__(self, cams_BKHW: Tensor, logits_BK: Tensor, x_BCHW: Tensor, valid_BHW: Tensor) -> Tensor:
        """Class index (B, H, W), uint8. A pixel without image data gets an answer too; the caller leaves it out.

        Args:
            cams_BKHW: activation maps at full resolution, without bias.
            logits_BK: of presence, above 0 = present.
            x_BCHW: the patches as the network sees them.
            valid_BHW: pixels with image data.
        """
        scores_BKHW = self.scores(cams_BKHW, x_BCHW, valid_BHW)
        if self.gated:
            absent_BK = (logits_BK <= 0) & (logits_BK > 0).any(dim=1, keepdim=True)
            scores_BKHW = scores_BKHW.masked_fill(absent_BK[:, :, None, None], -torch.inf)
        return winners(scores_BKHW).to(torch.uint8)


@dataclass(frozen=True)
class Segmenter:
    """The methods of a run, by name, and which of them answers for it."""

    methods: dict[str, Method]
    default: str

    @property
    def method(self) -> Method:
        """The run's own."""
        return self.methods[self.default]


@dataclass(frozen=True)
class Sample:
    """What the methods are fitted on: patches of the training split and what their labels allow.

    Attributes:
        cams_NKHW: activation maps of patches, at full resolution, on the CPU.
        x_NCHW: the patches as the network sees them.
        valid_NHW: pixels with image data.
        present_NK: presence labels, where the kind of label gives them.
        min_share: what "present" means.
        prior_K: the share of each class among the pixels, where labels or user tell it.
        always_K: classes whose presence label next to no patch lacks: their maps were never contradicted.
        truth_K: the true shares of the sample's pixels, for the oracle alone.
    """

    cams_NKHW: Floats
    x_NCHW: Floats
    valid_NHW: npt.NDArray[np.bool_]
    present_NK: npt.NDArray[np.bool_] | None = None
    min_share: float = 0.0
    prior_K: Floats | None = None
    always_K: npt.NDArray[np.bool_] | None = None
    truth_K: Floats | None = None


def fit(sample: Sample, bias_K: Sequence[float], default: str) -> Segmenter:
    """Every method whose numbers can be had from the sample; without a valid pixel in it the unfitted ones.

        cam-argmax       raw activation maps, as the poster
        score-argmax     with the dense layer's bias: the network's own scores
        score-or-rest    a class that next to no patch lacks scores 0: it gets the pixels that no other class claims; of several such, which their
                         labels tell nothing of, the first
        standardised     each map by its mean and standard deviation over the sample
        border-spectra   score-or-rest where there is one, else the scores, and where two classes meet also what they look like in the patch (`model.spectra`)
        prior-matched    score-or-rest where there is one, else the scores, shifted so that the classes' shares over the sample are the known ones
        thresholded      each map from the threshold that tells its image labels best
        gated            score-argmax among the classes said to be present
        oracle-prior     prior-matched with the true shares of the sample's pixels

    Args:
        sample: what they are fitted on.
        bias_K: of the dense layer.
        default: the run's own; score-argmax where it cannot be had.
    """
    classes = len(bias_K)
    ones, bias = (1.0,) * classes, tuple(map(float, bias_K))
    pixels_PK = np.moveaxis(sample.cams_NKHW, 1, -1)[sample.valid_NHW]
    plain = unfitted(bias_K)
    if not len(pixels_PK):
        return Segmenter(plain, default if default in plain else "score-argmax")
    mean_K, std_K = pixels_PK.mean(axis=0, dtype=np.float64), pixels_PK.std(axis=0, dtype=np.float64) + 1e-12
    found = [
        *plain.values(),
        Method("standardised", tuple(map(float, 1 / std_K)), tuple(map(float, -mean_K / std_K))),
        Method("gated", ones, bias, gated=True),
    ]
    base = plain["score-argmax"]
    if sample.always_K is not None and sample.always_K.any() and not sample.always_K.all():
        base = Method(
            "score-or-rest", tuple(np.where(sample.always_K, 0.0, 1.0).tolist()), tuple(np.where(sample.always_K, 0.0, bias).tolist())
        )
        found.append(base)
    found.append(_with_spectra(base, sample))
    if sample.present_NK is not None:
        found.append(Method("thresholded", ones, tuple(-value for value in image_thresholds(sample))))
    for name, share_K in (("prior-matched", sample.prior_K), ("oracle-prior", sample.truth_K)):
        if share_K is not None:
            offsets = matched_offsets(pixels_PK * np.array(base.scale_K) + np.array(base.offset_K), share_K, np.array(base.offset_K))
            found.append(Method(name, base.scale_K, offsets, oracle=name.startswith("oracle")))
    methods = {method.name: method for method in found}
    return Segmenter(methods, default if default in methods else "score-argmax")


def _with_spectra(base: Method, sample: Sample) -> Method:
    cams, x, valid = (torch.from_numpy(each) for each in (sample.cams_NKHW, sample.x_NCHW, sample.valid_NHW))
    mean_KC, cov_CC = (tuple(map(tuple, values.tolist())) for values in seen(base.scores(cams, x, valid), x, valid))
    return replace(base, name="border-spectra", mean_KC=mean_KC, cov_CC=cov_CC)


def with_levels(segmenter: Segmenter, base: Method, level_K: tuple[float, ...], *, default: bool) -> Segmenter:
    """The same with border-levels: what `base` says, and a level per class where two classes meet; `default`: it answers for the run."""
    ours = replace(base, name=BORDER_LEVELS, level_K=level_K)
    return Segmenter(segmenter.methods | {BORDER_LEVELS: ours}, BORDER_LEVELS if default else segmenter.default)


def unfitted(bias_K: Sequence[float]) -> dict[str, Method]:
    """The methods that need no sample: cam-argmax and score-argmax."""
    ones = (1.0,) * len(bias_K)
    found = (Method(POSTER, ones, (0.0,) * len(bias_K)), Method("score-argmax", ones, tuple(map(float, bias_K))))
    return {method.name: method for method in found}


def matched_offsets(scores_PK: Floats, prior_K: Floats, bias_K: Floats, steps: int = 300) -> tuple[float, ...]:
    """What to add to activation maps so that the share of pixels each class wins is the prior.

    Each step raises the classes that win too little and lowers those that win too much, by a step that shrinks.

    Args:
        scores_PK: of pixels, bias included.
        prior_K: shares that add up to 1; a class of share 0 never wins.
        bias_K: added to what is found.
        steps: how many.
    """
    some = scores_PK[:: max(len(scores_PK) // 50_000, 1)].astype(np.float64)
    spread = some.std() + 1e-12
    prior, offset, best = np.asarray(prior_K, np.float64) / np.sum(prior_K), np.zeros(len(prior_K)), (np.inf, np.zeros(len(prior_K)))
    floor = 0.5 / len(some)
    for step in range(steps):
        won = np.bincount((some + offset).argmax(axis=1), minlength=len(prior)) / len(some)
        if (off := float(np.abs(won - prior).sum())) < best[0]:
            best = (off, offset.copy())
        offset += spread * 0.5 / (1 + step / 20) * np.clip(np.log(np.maximum(prior, floor) / np.maximum(won, floor)), -2, 2)
    return tuple(float(value) for value in best[1] + bias_K)


def image_thresholds(sample: Sample) -> list[float]:
    """Per class the activation that tells its presence labels best; of equally good ones the middle of the widest gap.

    A class covers more than `min_share` of a patch just where the activation that this share of its pixels exceed lies
    above the threshold. A class that is always or never present has no threshold: its smallest or largest such
    activation stands in.
    """
    assert sample.present_NK is not None
    levels_NK = np.stack(
        [_level(cams_KHW[:, valid], sample.min_share) for cams_KHW, valid in zip(sample.cams_NKHW, sample.valid_NHW, strict=True)]
    )
    return [best_threshold(levels_NK[:, k], sample.present_NK[:, k]) for k in range(levels_NK.shape[1])]


def best_threshold(level_N: Floats, present_N: npt.NDArray[np.bool_]) -> float:
    """The threshold t for which "level > t" agrees most often with `present`."""
    order = np.argsort(level_N, kind="stable")
    level, present = level_N[order].astype(np.float64), present_N[order]
    # with i levels below the threshold: right are the absent ones below and the present ones above
    right = np.concatenate([[0], np.cumsum(~present)]) + np.concatenate([[0], np.cumsum(present[::-1])])[::-1]
    edges = np.concatenate([[level[0] - 1e-6], (level[1:] + level[:-1]) / 2, [level[-1] + 1e-6]])
    gap = np.concatenate([[0], np.diff(level), [0]])
    possible = np.concatenate([[True], np.diff(level) > 0, [True]])
    return float(edges[max(np.flatnonzero(possible), key=lambda i: (right[i], gap[i]))])


def _level(cams_KP: Floats, min_share: float) -> Floats:
    if not cams_KP.shape[1]:
        return np.zeros(len(cams_KP))
    rank = min(int(np.floor(min_share * cams_KP.shape[1])), cams_KP.shape[1] - 1)
    return np.partition(cams_KP, cams_KP.shape[1] - 1 - rank, axis=1)[:, cams_KP.shape[1] - 1 - rank]


def save(run: Path, segmenter: Segmenter, checkpoint_digest: str) -> None:
    """Write RUN/segment.json.

    Raises:
        OSError: the disk says no.
    """
    methods = [asdict(method) for method in segmenter.methods.values()]
    write_json(run / SEGMENT, {"checkpoint_digest": checkpoint_digest, "default": segmenter.default, "methods": methods})


def load(run: Path, checkpoint_digest: str) -> Segmenter | None:
    """What `save` wrote for that checkpoint; None where there is nothing or it is another checkpoint's."""
    try:
        values = json.loads((run / SEGMENT).read_text("utf-8"))
        if values["checkpoint_digest"] != checkpoint_digest:
            return None
        methods = [Method(**{key: _tuples(value) for key, value in one.items()}) for one in values["methods"]]
        return Segmenter({method.name: method for method in methods}, values["default"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tuples(value: Any) -> Any:  # noqa: ANN401 - what JSON has
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
