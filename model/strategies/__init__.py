"""Training methods added to plain supervised training. The training loop knows them by their base class alone."""

from __future__ import annotations

import torch

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.networks import Network
from cropcam.model.options import LabelOptions, StrategyOptions
from cropcam.model.strategies.base import Strategy
from cropcam.model.strategies.mean_teacher import MeanTeacher
from cropcam.model.strategies.pseudo_labels import PseudoLabeler


def make_strategy(
    options: StrategyOptions,
    network: Network,
    labels: WeakLabels,
    label_options: LabelOptions,
    *,
    is_softmax: bool,
    epochs: int,
    steps_per_epoch: int,
) -> Strategy:
    """The strategy of the settings; by default the plain one.

    `network` is on its device and not yet compiled or wrapped for several processes. `labels` are those of the training split, `is_softmax`
    is the objective's.
    """
    if not options.pseudo_label_weight:
        return Strategy()
    device = network.dense.bias.device
    ubiquitous_K = None if is_softmax else labels.ubiquitous_classes()
    labeler = PseudoLabeler(
        kind=label_options.kind,
        min_share=label_options.presence_min_share,
        remainder_K=None if ubiquitous_K is None else torch.from_numpy(ubiquitous_K).to(device),
        prior_K=torch.tensor(label_options.class_prior, device=device) if label_options.class_prior and not is_softmax else None,
    )
    return MeanTeacher(network, labeler, weight=options.pseudo_label_weight, epochs=epochs, steps_per_epoch=steps_per_epoch)
