"""The options that a run is told and keeps with the same default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `cropcam.model.training.settings.Settings` and `cropcam.model.runs.checkpoint.RunConfig` have in common.

    Each default is how runs were trained before there was the option: that is how their folders are read. Not here: what every
    folder has to say, and what is settled when a run begins, as a run keeps another default than a user is offered.
    """

    share_step: float = 0.0
    share_noise: float = 0.0
    bag_size: int = 1
    points_per_patch: int = 1
    label_noise: float = 0.0
    class_prior: tuple[float, ...] = ()
    optimizer: str = "adamw"
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    self_labels: float = 0.0
    clip_norm: float = 0.0
    patience: int = 0
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    quarter_turns: bool = False
    deterministic: bool | None = None
    points: str = ""
    areas: str = ""

    @property
    def bagged(self) -> bool:
        """Whether patches share labels, so that they have to meet in a batch; only shares can."""
        return self.bag_size > 1 or bool(self.areas)
