"""The types of RUN/config.json, JSON that anyone may have written: strict, and with the sizes of what is allocated bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, model_validator

from cropcam.model.options import DataOptions, LabelOptions, NetworkOptions, OptimizerOptions, StrategyOptions
from cropcam.pipeline.store.attributes import MOST_PATCH_PX, ClassAttrs, Count, EncodingAttrs, Name, Typed, check_attributes, check_typed


class _Store(Typed):
    study: str
    path: str
    digest: str
    bands: Annotated[list[Name], Field(min_length=1)]
    encoding: EncodingAttrs
    classes: Annotated[list[ClassAttrs], Field(min_length=1, max_length=255)]
    size_px: Annotated[int, Field(ge=1, le=MOST_PATCH_PX)]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    attrs: Annotated[dict[str, Any], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        encoding, bands = self.encoding, len(self.bands)
        for name, values in (("mean", self.mean), ("std", self.std), ("encoding.scale", encoding.scale), ("encoding.offset", encoding.offset), ("encoding.nodata", encoding.nodata)):  # fmt: skip
            if len(values) != bands:
                raise ValueError(f"{name}: {len(values)} values, there are {bands} bands")
        return self


class _Part(Typed):
    name: Name
    path: str
    digest: str
    held_out: bool
    attrs: dict[str, Any]


class _Run(Typed):
    labels: LabelOptions
    data: DataOptions
    network: NetworkOptions
    optimizer: OptimizerOptions
    strategy: StrategyOptions
    store: _Store
    digests: dict[str, str]
    network_package: str = ""
    trained_patches: Count = 0
    stores: Annotated[list[_Part], Field(default_factory=list)]
    code_version: str


_RUN = TypeAdapter(_Run)


def check_config(values: Mapping[str, Any]) -> None:
    """Whether the values of a config.json have the types that a run's have; they are read after this.

    Raises:
        ValueError: names the first key that is not right, in one line.
    """
    check_typed(_RUN, values)
    for attrs in (values["store"].get("attrs"), *(part["attrs"] for part in values.get("stores", ()))):
        if attrs:
            check_attributes(attrs)
