"""Training without gradients: a classifier of pixels fitted at once, as the one epoch of its run."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from cropcam.model.data.pixel_draw import draw_pixels
from cropcam.model.networks import FittedNetwork
from cropcam.model.training.trainer import Trainer
from cropcam.pipeline.runtime.progress import Progress


class PixelTrainer(Trainer):
    """A `FittedNetwork` in training. Validation and the run folder are as of `Trainer`; a run stopped before the end starts over."""

    def _train_epoch(self, progress: Progress, stop: Callable[[], bool]) -> float | None:
        """As of `Trainer`. Loss and accuracy are those of the drawn pixels, after the fit."""
        network, seed, started = self._network, self._config.data.seed, time.perf_counter()
        assert isinstance(network, FittedNetwork)
        values_PC, class_P, weight_P = draw_pixels(self._train, network.features, self._normalization, network.pixels, seed)
        waited_s = time.perf_counter() - started

        def proceed(done: int, steps: int) -> bool:
            progress(done, steps, f"fitted to {len(class_P):,} pixels")
            return not stop()

        if not network.fit(values_PC, class_P, seed, proceed, weight_P):
            return None
        logits_PK, target_P = (
            network.dense(network.score(torch.from_numpy(values_PC).to(self._device))).cpu(),
            torch.from_numpy(class_P).long(),
        )
        loss, correct = F.cross_entropy(logits_PK, target_P).item(), int((logits_PK.argmax(dim=1) == target_P).sum())
        self._done.sums.add(self._finite(loss, "training"), len(self._train), correct, len(class_P))
        return waited_s
