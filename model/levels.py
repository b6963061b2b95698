"""How much each class falls short where classes meet, told by labels that the network did not learn from.

A network knows the labels it learned from, points by heart; of others it is wrong in one direction: where classes meet, some are answered too often, others too
seldom. A few labels that it never learned from, of whatever kind, say by how much. Nothing here sees the truth of a pixel that the kind of label does not tell.
Axis suffixes: B batch, K class, H/W rows and columns, P pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from model.losses import Batch, Objective, Targets
from pipeline.legend import UNLABELLED

LEAST = 5  # labels that have to name a class before its level counts
_STEPS, _TOLERANCE = 30, 1e-4  # of a level, or of the loss: nothing that a map would show


class Answers(NamedTuple):
    """What a network says of a batch that it did not learn from.

    Attributes:
        scores_BKHW: what is compared, classes excluding each other.
        border_BHW: pixels where two classes meet.
        targets: the labels.
    """

    scores_BKHW: Tensor
    border_BHW: Tensor
    targets: Targets

    def of_labelled_pixels(self) -> Answers:
        """The labelled pixels alone, in one row (1, K, 1, P), on the CPU: with labels of single pixels the others say nothing."""
        valid_BHW, label_BHW = self.targets.valid_BHW, self.targets.pixel_BHW
        assert label_BHW is not None
        chosen_BHW = valid_BHW & (label_BHW != UNLABELLED)
        scores_1K1P = self.scores_BKHW.movedim(1, -1)[chosen_BHW].T[None, :, None].cpu()
        border_11P, label_11P, valid_11P = (each[chosen_BHW][None, None].cpu() for each in (self.border_BHW, label_BHW, valid_BHW))
        return Answers(scores_1K1P, border_11P, Targets(valid_11P, pixel_BHW=label_11P))


def in_one_row(rows: Sequence[Answers]) -> Answers:
    """Several rows of labelled pixels as one."""
    scores_1K1P, border_11P, valid_11P, label_11P = (
        torch.cat(each, dim=-1)
        for each in zip(*((row.scores_BKHW, row.border_BHW, row.targets.valid_BHW, row.targets.pixel_BHW) for row in rows), strict=True)
    )
    return Answers(scores_1K1P, border_11P, Targets(valid_11P, pixel_BHW=label_11P))


def raised(scores_BKHW: Tensor, level_K: Tensor, border_BHW: Tensor) -> Tensor:
    """Scores (B, K, H, W) with a level per class added where two classes meet."""
    return scores_BKHW + level_K[:, None, None] * border_BHW[:, None]


def border_levels(
    answers: Sequence[Answers],
    objective: Objective,
    min_share: float,
    classes: int,
    prior: float | None = None,
    weight_K: Tensor | None = None,
) -> tuple[float, ...] | None:
    """What to add to each class's scores at borders so that the labels become most likely; None without a label.

    Minimised is the objective's own loss without weights of classes, summed over what is labelled, and `prior` times the sum of squares: few labels add next to
    nothing. A class that fewer than `LEAST` labels name has the mean of the others' levels: that a few blocks lack it says nothing of other places.
    So has one that counts for more: its level would take back what its weight does.

    Source: a bias per class fitted on held-out labels, Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2 (vector scaling);
    here at borders alone, and by labels of any kind.

    Args:
        answers: of patches the network did not learn from, on the CPU.
        objective: of classes that exclude each other.
        min_share: what presence labels mean.
        classes: how many there are.
        prior: None = `Objective.level_prior`.
        weight_K: of each class in the network's own loss, where that moves its answers; None = 1.
    """
    prior, labelled = objective.level_prior if prior is None else prior, [int(said.targets.answers()) for said in answers]
    assert prior is not None
    if not sum(labelled):
        return None
    named_K = torch.stack([_named(said.targets, classes) for said in answers]).sum(dim=0) >= LEAST
    if weight_K is not None:
        named_K &= weight_K <= 1
    free_K = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [free_K], max_iter=_STEPS, tolerance_grad=_TOLERANCE, tolerance_change=_TOLERANCE, line_search_fn="strong_wolfe"
    )

    def levels() -> Tensor:
        mean = (free_K * named_K).sum() / named_K.sum().clamp(min=1)
        return torch.where(named_K, free_K, mean)

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = prior * levels().square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        for (scores_BKHW, border_BHW, targets), count in zip(answers, labelled, strict=True):
            if count:
                moved = Batch.of_scores(raised(scores_BKHW, levels(), border_BHW), targets.valid_BHW)
                loss = count * objective.loss(moved, targets, min_share)
                loss.backward()  # type: ignore[no-untyped-call]
                total = total + loss.detach()
        return total.detach()

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return tuple(levels().detach().tolist())


def _named(targets: Targets, classes: int) -> Tensor:
    """How many labels name each class (K,): pixels, patches, or shares in whole patches."""
    if targets.pixel_BHW is not None:
        label_P = targets.pixel_BHW[targets.valid_BHW & (targets.pixel_BHW != UNLABELLED)]
        return torch.bincount(label_P.long(), minlength=classes).double()
    assert targets.image_BK is not None
    return targets.image_BK.double().nan_to_num().sum(dim=0)
