"""Gradient-boosted trees of each pixel, by LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cropcam.model.networks.base import FittedNetwork
from cropcam.model.networks.neighbourhood import Neighbourhood
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.extras import need

# A standardised 0 is a missing value. Sums are the same on any number of threads.
_PARAMETERS = {"objective": "multiclass", "zero_as_missing": True, "deterministic": True, "force_col_wise": True, "verbosity": -1}


class Trees(FittedNetwork):
    """Gradient-boosted trees on the values of each pixel or of its neighbourhood, one tree per class and round; the maps are the classes' scores.

    The model is LightGBM's text, as bytes in the tensor `model`. It is evaluated on the CPU, whatever the device. A missing value of a
    neighbour follows the branch that was best for missing values in training. Scores are logits: their softmax is the probability.

    Source: Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree" (NeurIPS).
    """

    def __init__(self, bands: int, classes: int, *, trees: int = 100, neighbourhood: int = 1, pixels: int = 100_000) -> None:
        super().__init__()
        for name, value in (("trees", trees), ("pixels", pixels)):
            if value < 1:
                raise ConfigError(f"--model-options {name}={value}: must be at least 1")
        lightgbm()
        self.trees, self.pixels, self.classes, self.columns = trees, pixels, classes, bands * neighbourhood**2
        self.context_px = neighbourhood // 2
        self.features = Neighbourhood(neighbourhood)
        self.dense = nn.Linear(classes, classes).requires_grad_(False)  # the identity: the maps are logits already
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.model: Tensor
        self.register_buffer("model", torch.empty(0, dtype=torch.uint8))
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def fit(
        self,
        values_PC: npt.NDArray[np.float32],
        class_P: npt.NDArray[np.uint8],
        seed: int,
        proceed: Callable[[int, int], bool],
        weight_P: npt.NDArray[np.float32] | None = None,
    ) -> bool:
        """As of `FittedNetwork`; a step is a round: one tree per class."""
        package, parameters = lightgbm(), {**_PARAMETERS, "num_class": self.classes, "seed": seed % 2**31}
        booster = package.Booster(parameters, package.Dataset(values_PC, class_P, weight=weight_P))
        for done in range(1, self.trees + 1):
            complete = booster.update()  # no tree can be split further
            if not proceed(done, self.trees):
                return False
            if complete:
                break
        self.model = torch.frombuffer(bytearray(booster.model_to_string().encode()), dtype=torch.uint8).to(self.model.device)
        self.__dict__.pop("_booster", None)
        return True

    def state_shapes(self) -> dict[str, torch.Size | None]:
        """As of `Network`; the model has any size."""
        return {**super().state_shapes(), "model": None}

    def score(self, values_PC: Tensor) -> Tensor:
        """Scores of the classes (P, K), float32.

        Raises:
            DataError: the model is damaged.
        """
        if not len(self.model):
            return values_PC.new_zeros((len(values_PC), self.classes))
        score_PK = self._booster.predict(values_PC.float().cpu().numpy(), raw_score=True, num_threads=torch.get_num_threads())
        return torch.from_numpy(score_PK.astype(np.float32)).to(values_PC.device)

    @cached_property
    def _booster(self) -> Any:  # noqa: ANN401 - lightgbm is imported only where it is used
        package = lightgbm()
        try:
            booster = package.Booster(model_str=self.model.cpu().numpy().tobytes().decode())
        except (package.basic.LightGBMError, UnicodeDecodeError) as error:
            raise DataError(f"the trees of the checkpoint are damaged ({error}); train into another folder") from None
        if (sizes := (booster.num_feature(), booster.num_model_per_iteration())) != (self.columns, self.classes):
            raise DataError(
                f"the trees of the checkpoint are of {sizes[0]} values and {sizes[1]} classes, the run has {self.columns} and {self.classes}; "
                "train into another folder"
            )
        return booster


def lightgbm() -> Any:  # noqa: ANN401 - a module
    """The module lightgbm, an extra.

    Raises:
        ConfigError: it is not installed, or the system lacks a library that it needs.
    """
    need("--model trees", "trees", instead="or take --model linear")
    try:
        import lightgbm as package  # noqa: PLC0415 - slow to import
    except OSError as error:
        raise ConfigError(
            f"--model trees: LightGBM cannot be loaded ({error}); install the system's OpenMP library (Debian: apt install libgomp1; "
            "macOS: brew install libomp), or take --model linear"
        ) from None
    return package


def _make_room(network: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """The size of the model is known from the checkpoint alone."""
    assert isinstance(network, Trees)
    if isinstance(given := state.get(f"{prefix}model"), Tensor):
        network.model = torch.empty_like(given, device=network.model.device)
    network.__dict__.pop("_booster", None)
