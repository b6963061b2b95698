"""The pictures of docs/why-089-and-018.md, drawn from plain numbers and arrays; `benchmarks.pictures` measures them.

Classes have the legend's colours and a name: no picture depends on colours alone.
Axis suffixes: K class, P pixel, Y/X rows and columns.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from cropcam.model.report.figures import INK, MUTED, RULE
from cropcam.model.report.gallery import class_picture
from cropcam.pipeline.legend import Legend

WIDTH_IN, DPI, COLOURS = 8.0, 200, 256  # shown at 800 px, sharp at twice that
_STYLE: Any = {
    "font.size": 8.5,
    "axes.titlecolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
}
Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Question:
    """One meaning of "present": its frequency, and the accuracy of guess and network.

    Attributes:
        title: the question in words.
        present_K: share of patches in which each class is present.
        guess: accuracy of the more frequent value of each label, mean over classes.
        network: accuracy of the poster's network, mean over classes.
    """

    title: str
    present_K: Sequence[float]
    guess: float
    network: float


@dataclass(frozen=True)
class Tile:
    """A picture of a patch and the note below it."""

    rgb_YX3: npt.NDArray[np.uint8]
    note: str = ""


@dataclass(frozen=True)
class Maps:
    """The activation maps of one patch and the results of two ways of comparing them.

    Attributes:
        cams_KYX: raw maps.
        largest_YX: class of the largest raw map.
        standardised_YX: class of the largest map after each was brought to its own mean and spread.
        truth_YX: true classes.
    """

    cams_KYX: npt.NDArray[np.floating[Any]]
    largest_YX: Classes
    standardised_YX: Classes
    truth_YX: Classes


@mpl.rc_context(_STYLE)
def questions(drawn: Sequence[Question], legend: Legend, subtitle: str) -> Figure:
    """Bars: the share of patches with each class under each meaning of "present", and the accuracy of guess and network."""
    figure = _figure(3.8, "The looser the question, the less information in the label", subtitle)
    rows_K, below = np.arange(len(legend)), len(legend) + np.array([0.9, 2.2])
    for place, (axes, question) in enumerate(zip(figure.subplots(1, len(drawn), sharey=True), drawn, strict=True)):
        axes.barh(rows_K, question.present_K, color=[item.color_hex for item in legend.classes], edgecolor=INK, lw=0.6, height=0.72)
        axes.barh(below[0], question.guess, color="white", edgecolor=INK, lw=0.8, hatch="////", height=0.72)
        axes.barh(below[1], question.network, color=INK, edgecolor=INK, lw=0.8, height=0.72)
        for y, value in zip([*rows_K, *below], [*question.present_K, question.guess, question.network], strict=True):
            text = share(value) if y < len(legend) else f"{value:.3f}"
            axes.text(value + 0.02, y, text, va="center", fontweight="normal" if y < len(legend) else "bold")
        axes.axhline(len(legend) - 0.1, color=RULE, lw=1)
        axes.set(xlim=(0, 1.3), xticks=[0, 0.5, 1], xticklabels=["0", "50 %", "100 %"], ylim=(below[1] + 0.6, -0.6))
        axes.set_title(question.title, fontsize=9.5, fontweight="bold", loc="left")
        axes.set_yticks(
            [*rows_K, *below],
            [*(f"{name} present" for name in legend.names), "right: majority\nguess", "right: the poster's\nnetwork"],
        )
        axes.tick_params(length=0, labelleft=place == 0)
        axes.spines["bottom"].set_visible(False)
    return figure


@mpl.rc_context(_STYLE)
def patches(rows: Sequence[tuple[str, Sequence[Tile]]], columns: Sequence[str], legend: Legend, subtitle: str) -> Figure:
    """Pictures of patches: a row per patch, a column per picture."""
    figure = _figure(6.45, "The label decides the map", subtitle, bottom=0.055)
    axes_RC = figure.subplots(len(rows), len(columns))
    for axes_C, (name, tiles) in zip(axes_RC, rows, strict=True):
        axes_C[0].set_ylabel(name, fontsize=9.5, fontweight="bold")
        for axes, tile in zip(axes_C, tiles, strict=True):
            _picture(axes, tile.rgb_YX3)
            axes.set_xlabel(tile.note, fontweight="bold")
    for axes, title in zip(axes_RC[0], columns, strict=True):
        axes.set_title(title, fontsize=8.5)
    _key(figure, legend)
    return figure


@mpl.rc_context(_STYLE)
def scales(maps: Maps, legend: Legend, subtitle: str) -> Figure:
    """The activation maps of one patch, each in its own colours; all on one scale; the argmax, raw and standardised."""
    figure = _figure(5.5, "Five maps without a common scale: the highest offset wins", subtitle, bottom=0.06)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.18], hspace=0.02)
    for k, (axes, item) in enumerate(zip(upper.subplots(1, len(legend)), legend.classes, strict=True)):
        drawn = axes.imshow(maps.cams_KYX[k], cmap="cividis", interpolation="nearest")
        _bare(axes)
        axes.set_title(f"map of {item.name}", fontsize=8.5, fontweight="bold")
        low, high = float(maps.cams_KYX[k].min()), float(maps.cams_KYX[k].max())
        bar = upper.colorbar(drawn, ax=axes, location="bottom", shrink=0.95, pad=0.04, ticks=[low, high])
        bar.ax.set_xticklabels([f"{low:.2f}", f"{high:.2f}"], fontsize=8)
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "right"), strict=True):
            label.set_ha(side)
        bar.outline.set_visible(False)
    together, *answers = lower.subplots(1, 4, width_ratios=[1.75, 1, 1, 1])
    _histograms(together, maps, legend)
    for axes, title, classes_YX in zip(
        answers,
        ("the largest map wins", "each brought to its own\nmean and spread first", "truth"),
        (maps.largest_YX, maps.standardised_YX, maps.truth_YX),
        strict=True,
    ):
        _picture(axes, class_picture(classes_YX, legend))
        axes.set_title(title, fontsize=8.5)
        if classes_YX is not maps.truth_YX:
            axes.set_xlabel(right(classes_YX, maps.truth_YX), fontweight="bold")
    _key(figure, legend)
    return figure


def right(classes_YX: Classes, truth_YX: Classes) -> str:
    """The share of correct pixels of a patch, in words."""
    return f"{share(float((classes_YX == truth_YX).mean()))} right"


def share(value: float) -> str:
    """A share in whole per cent."""
    return f"{100 * value:.0f}\u00a0%"


def write(figure: Figure, path: Path) -> None:
    """The figure as a PNG of few colours: a picture on a page, small enough for a repository."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="png", dpi=DPI)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(buffer).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _histograms(axes: Axes, maps: Maps, legend: Legend) -> None:
    won_K = np.bincount(maps.largest_YX.ravel(), minlength=len(legend)) / maps.largest_YX.size
    edges = np.linspace(maps.cams_KYX.min(), maps.cams_KYX.max(), 70)
    for k, item in enumerate(legend.classes):
        counts, _ = np.histogram(maps.cams_KYX[k], edges)
        axes.stairs(counts / counts.max() * 0.8 - k, edges, baseline=-k, fill=True, color=item.color_hex, ec=INK, lw=0.6)
        axes.text(1.02, 0.2 - k, share(won_K[k]), transform=axes.get_yaxis_transform(), va="center", fontweight="bold")
    axes.text(1.02, 1.0, "wins on", transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(0.2 - np.arange(len(legend)), legend.names)
    axes.set(ylim=(0.85 - len(legend), 1.2))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title("the same on one scale: how many\npixels have which activation", fontsize=8.5, loc="left")


def _figure(height_in: float, title: str, subtitle: str, bottom: float = 0.0) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    head = 0.56 / height_in
    figure.get_layout_engine().set(rect=(0.005, bottom, 0.99, 1 - head - bottom))  # type: ignore[union-attr]
    figure.text(0.012, 1 - 0.11 / height_in, title, fontsize=12, fontweight="bold", va="top", color=INK)
    figure.text(0.012, 1 - 0.33 / height_in, subtitle, fontsize=8.5, va="top", color=MUTED)
    return figure


def _picture(axes: Axes, rgb_YX3: npt.NDArray[np.uint8]) -> None:
    axes.imshow(rgb_YX3, interpolation="nearest")
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _key(figure: Figure, legend: Legend) -> None:
    handles = [mpl.patches.Patch(facecolor=item.color_hex, edgecolor=INK, lw=0.6, label=item.name) for item in legend.classes]
    figure.legend(handles=handles, loc="lower center", ncols=len(legend), frameon=False, bbox_to_anchor=(0.5, 0.0), handlelength=1.2)
