"""What the figures need of scored batches: counts per spatial block, and a few numbers per patch.

Axis suffixes: N patch, B block, H/W rows and columns of a batch's patches, K class, E bin of a histogram.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cropcam.model.evaluation.bootstrap import BINS, histograms
from cropcam.model.evaluation.metrics import Counts, RankHistogram, confusions
from cropcam.model.segmentation.predictions import Scored
from cropcam.pipeline.legend import UNLABELLED


class Tally:
    """Counts of the batches seen so far: 5 kB per block and class beside 16 MiB per class, whatever the pixels.

    Attributes:
        confusion_BKK: by method name, pixels per block.
        ranks_K: each class's activation map against its own pixels, over all blocks and fine enough to be as good as exact.
        map_counts_BK2E: the same per block and coarser, for intervals.
    """

    def __init__(
        self, classes: int, methods: Iterable[str], default: str, block_N: npt.NDArray[np.int64], bounds_KE: npt.NDArray[np.float32]
    ) -> None:
        """Start from nothing.

        Args:
            classes: how many.
            methods: names of what `Scored.segmentation_BHW` holds.
            default: the run's own, of which right pixels are counted per patch.
            block_N: the block of each patch to come, in order.
            bounds_KE: bins of each class's activations (`bootstrap.edges`), BINS - 1 bounds.
        """
        self.classes, self.default = classes, default
        self.blocks = int(block_N.max(initial=-1)) + 1
        self.confusion_BKK = {name: np.zeros((self.blocks, classes, classes), np.int64) for name in methods}
        self.ranks_K = [RankHistogram() for _ in range(classes)]
        self.map_counts_BK2E = np.zeros((self.blocks, classes, 2, BINS), np.int64)
        self._block_N, self._bounds_KE = block_N, bounds_KE
        self._logits: list[npt.NDArray[np.float32]] = []
        self._right: list[Counts] = []
        self._labelled: list[Counts] = []

    def add(self, batch: Scored) -> None:
        """Count one batch; batches come in the order of the patches.

        Raises:
            ValueError: a score is NaN, or a class index is none.
        """
        counts_BHW = batch.truth_BHW != UNLABELLED
        truth = batch.truth_BHW[counts_BHW]
        blocks = self._block_N[self.patches : self.patches + len(batch.patches_B)]
        # only the blocks this batch touches: a store's patches come row by row, so their numbers lie close together
        touched = slice(int(blocks.min()), int(blocks.max()) + 1)
        count = touched.stop - touched.start
        block = np.broadcast_to(blocks[:, None, None], counts_BHW.shape)[counts_BHW] - touched.start
        for name, segmented_BHW in batch.segmentation_BHW.items():
            self.confusion_BKK[name][touched] += confusions(block, truth, segmented_BHW[counts_BHW], count, self.classes)
        for index, (ranks, bounds_E) in enumerate(zip(self.ranks_K, self._bounds_KE, strict=True)):
            own, score = truth == index, batch.cams_BKHW[:, index][counts_BHW]
            ranks.add(own, score)
            self.map_counts_BK2E[touched, index] += histograms(block, own, score, bounds_E, count)
        self._logits.append(batch.logits_BK)
        self._right.append((counts_BHW & (batch.segmented_BHW == batch.truth_BHW)).sum(axis=(1, 2)))
        self._labelled.append(counts_BHW.sum(axis=(1, 2)))

    @property
    def patches(self) -> int:
        """Patches seen."""
        return sum(map(len, self._logits))

    @property
    def pixels(self) -> int:
        """Pixels that counted."""
        return int(self.confusion_BKK[self.default].sum())

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Logits (N, K) of every patch."""
        return np.concatenate(self._logits)

    @property
    def right(self) -> Counts:
        """Pixels the default method got right, per patch (N,)."""
        return np.concatenate(self._right)

    @property
    def labelled(self) -> Counts:
        """Pixels that counted, per patch (N,)."""
        return np.concatenate(self._labelled)
