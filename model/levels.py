"""How much each class falls short where classes meet, told by labels that the network did not learn from.

A network knows the labels it learned from, points by heart; of others it is wrong in one direction: where classes meet, some are answered too often, others too
seldom. A few labels that it never learned from, of whatever kind, say by how much. Nothing here sees the truth of a pixel that the kind of label does not tell.
Axis suffixes: B batch, K class, H/W rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.losses import Batch, Objective, Targets

# Of the squared levels, in nats: 1 is a normal distribution around 0 of standard deviation 0.7. What is minimised for presence and majority is no likelihood.
PRIOR, PRIOR_OF_ANSWERS = 1.0, 3.0
_STEPS = 30


class Answers(NamedTuple):
    """What a network says of a batch that it did not learn from, on the CPU.

    Attributes:
        batch: its scores are what is compared, classes excluding each other.
        border_BHW: pixels where two classes meet (`model.spectra.borders`).
        targets: the labels.
    """

    batch: Batch
    border_BHW: Tensor
    targets: Targets


def border_levels(answers: Sequence[Answers], objective: Objective, min_share: float, classes: int) -> tuple[float, ...] | None:
    """What to add to each class's scores at borders so that the labels become most likely; None without a label.

    Minimised is the objective's own loss, summed over what is labelled, and a prior times the sum of squares: with few labels next to nothing is added.

    Source: a bias per class fitted on held-out labels, Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2 (vector scaling);
    here at borders alone, and by labels of any kind.

    Args:
        answers: of patches the network did not learn from.
        objective: of classes that exclude each other.
        min_share: what presence labels mean.
        classes: how many there are.
    """
    prior = PRIOR_OF_ANSWERS if objective.name in ("threshold", "majority") else PRIOR
    labelled = [int(said.targets.answers()) for said in answers]
    if not sum(labelled):
        return None
    level_K = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([level_K], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = prior * level_K.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        for (batch, border_BHW, targets), count in zip(answers, labelled, strict=True):
            if count:
                moved_BKHW = batch.scores_BKHW + level_K[:, None, None] * border_BHW[:, None]
                loss = count * objective.loss(batch.rescored(moved_BKHW), targets, min_share)
                loss.backward()  # type: ignore[no-untyped-call]
                total = total + loss.detach()
        return total.detach()

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return tuple(level_K.detach().tolist())
