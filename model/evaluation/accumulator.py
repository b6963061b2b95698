"""What the metrics need of a split, batch by batch: counts per spatial block, and a few numbers per patch.

Axis suffixes: N patch, B block, H/W rows and columns of a batch's patches, K class, E bin of a histogram.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation.bootstrap import BINS, histograms
from cropcam.model.evaluation.calibration import CalibrationCounts
from cropcam.model.evaluation.metrics import Counts, RankHistogram, confusions
from cropcam.model.segmentation.predictions import PatchPredictions
from cropcam.pipeline.legend import UNLABELLED


class MetricAccumulator:
    """Counts of the batches so far: 5 kB per block and class and 16 MiB per class, however many pixels.

    Attributes:
        confusion_BKK: by method name, pixels per block.
        ranks_K: each class's activation map against its own pixels, over all blocks, fine enough to be as good as exact.
        map_counts_BK2E: the same per block and coarser, for intervals.
        calibrated, uncalibrated: the default method's probabilities against the truth, with its temperature and with temperature 1.
    """

    def __init__(
        self, classes: int, methods: Iterable[str], default: str, block_N: npt.NDArray[np.int64], bounds_KE: npt.NDArray[np.float32]
    ) -> None:
        """Start from nothing.

        Args:
            classes: number of classes.
            methods: names in `PatchPredictions.segmentation_BHW`.
            default: the run's default method, whose correct pixels are counted per patch.
            block_N: the block of each patch to come, in order.
            bounds_KE: bins of each class's activations (`bootstrap.edges`), BINS - 1 bounds.
        """
        self.classes, self.default = classes, default
        self.blocks = int(block_N.max(initial=-1)) + 1
        self.confusion_BKK = {name: np.zeros((self.blocks, classes, classes), np.int64) for name in methods}
        self.ranks_K = [RankHistogram() for _ in range(classes)]
        self.map_counts_BK2E = np.zeros((self.blocks, classes, 2, BINS), np.int64)
        self.calibrated, self.uncalibrated = (CalibrationCounts(self.blocks, classes) for _ in range(2))
        self._block_N, self._bounds_KE = block_N, bounds_KE
        self._per_patch: list[tuple[npt.NDArray[np.float32], Counts, Counts]] = []  # logits, correct pixels, labelled pixels

    def add(self, batch: PatchPredictions) -> None:
        """Count one batch; batches come in the order of the patches.

        Raises:
            ValueError: an activation is NaN, or a class index is out of range.
        """
        labelled_BHW = batch.truth_BHW != UNLABELLED
        truth = batch.truth_BHW[labelled_BHW]
        blocks = self._block_N[self.patches : self.patches + len(batch.patches_B)]
        # only the blocks of this batch: a store's patches come row by row, so their numbers lie close together
        touched = slice(int(blocks.min()), int(blocks.max()) + 1)
        count = touched.stop - touched.start
        block = np.broadcast_to(blocks[:, None, None], labelled_BHW.shape)[labelled_BHW] - touched.start
        for name, segmented_BHW in batch.segmentation_BHW.items():
            self.confusion_BKK[name][touched] += confusions(block, truth, segmented_BHW[labelled_BHW], count, self.classes)
        for k, (ranks, bounds_E) in enumerate(zip(self.ranks_K, self._bounds_KE, strict=True)):
            positive, score = truth == k, batch.cams_BKHW[:, k][labelled_BHW]
            ranks.add(positive, score)
            self.map_counts_BK2E[touched, k] += histograms(block, positive, score, bounds_E, count)
        for counts, probability_BKHW in ((self.calibrated, batch.probability_BKHW), (self.uncalibrated, batch.uncalibrated_BKHW)):
            counts.add(block + touched.start, truth, np.moveaxis(probability_BKHW, 1, -1)[labelled_BHW])
        correct_BHW = labelled_BHW & (batch.segmented_BHW == batch.truth_BHW)
        self._per_patch.append((batch.logits_BK, correct_BHW.sum(axis=(1, 2)), labelled_BHW.sum(axis=(1, 2))))

    @property
    def patches(self) -> int:
        """Patches so far."""
        return sum(len(logits_BK) for logits_BK, _, _ in self._per_patch)

    @property
    def pixels(self) -> int:
        """Labelled pixels with image data so far."""
        return int(self.confusion_BKK[self.default].sum())

    def per_patch(self) -> tuple[npt.NDArray[np.float32], Counts, Counts]:
        """Of every patch: logits (N, K), pixels that the default method has correct (N,), labelled pixels (N,)."""
        logits, correct, labelled = zip(*self._per_patch, strict=True)
        return np.concatenate(logits), np.concatenate(correct), np.concatenate(labelled)
