"""Training methods added to plain supervised training. The training loop knows them by their base class alone."""

from __future__ import annotations

from cropcam.model.networks import Network
from cropcam.model.options import StrategyOptions
from cropcam.model.strategies.base import Strategy
from cropcam.model.strategies.mean_teacher import MeanTeacher


def make_strategy(options: StrategyOptions, network: Network, *, epochs: int, steps_per_epoch: int) -> Strategy:
    """The strategy of the settings; by default the plain one. `network` is on its device and not yet compiled or wrapped for several processes."""
    if not options.pseudo_label_weight:
        return Strategy()
    return MeanTeacher(network, weight=options.pseudo_label_weight, epochs=epochs, steps_per_epoch=steps_per_epoch)
