"""The report's plots as inline SVG, and rasters as PNG data URIs. The same input gives the same bytes."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator

INK, MUTED, RULE = "#20302b", "#6b7a74", "#dfe5e1"
TRAIN, VALIDATION, ACCENT = "#9aa8a1", "#0f6b5c", "#c2541b"
DIVERGING = "RdBu_r"  # blue against, red for a class; white is 0
SEQUENTIAL = "viridis"
_STYLE: Any = {
    "svg.hashsalt": "cropcam",
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
}


def curve(history: pd.DataFrame, what: str, best: int, majority: float | None = None, words: tuple[str, str] = ("", "")) -> Markup:
    """Training and validation curves of `what` ("loss" or "accuracy") over epochs, the epoch that is kept marked.

    Args:
        history: columns epoch, train_WHAT, validation_WHAT.
        what: which curve.
        best: epoch of the weights that are kept.
        majority: the constant answer's value, drawn as a line.
        words: what the reader calls the curve, if not `what`, and the line.
    """
    name, guess = words
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        single = "o" if len(history) == 1 else None
        axes.plot(history["epoch"], history[f"train_{what}"], color=TRAIN, lw=1.8, marker=single, label="training")
        axes.plot(history["epoch"], history[f"validation_{what}"], color=VALIDATION, lw=2.2, marker=single, label="validation")
        if majority is not None:
            axes.axhline(majority, color=ACCENT, lw=1.2, ls=(0, (5, 3)), label=guess)
        _mark_best(axes, history, what, best)
        axes.set_xlabel("epoch")
        axes.set_title((name or what).capitalize(), loc="left", fontsize=12, fontweight="bold")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=10, labelcolor=INK)
        value = _at(history, best, f"validation_{what}")
        return _svg(
            figure, f"{what}-curve", f"{name or what} of training and validation over {len(history)} epochs; kept epoch {best}: {value:.3f}"
        )


def accuracies(accuracy_N: npt.NDArray[np.floating], pooled: float, majority: float) -> Markup:
    """Histogram of patches by the share of their pixels that is right, with the pooled accuracy and the majority guess."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.hist(accuracy_N, bins=np.linspace(0, 1, 21).tolist(), color=VALIDATION, alpha=0.85, edgecolor="white", lw=0.8)
        axes.axvline(pooled, color=INK, lw=1.8, label=f"all pixels {pooled:.3f}")
        axes.axvline(majority, color=ACCENT, lw=1.4, ls=(0, (5, 3)), label=f"majority guess {majority:.3f}")
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of a patch's pixels that is right")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title("Patches", loc="left", fontsize=12, fontweight="bold")
        axes.legend(frameon=False, fontsize=10, labelcolor=INK)
        return _svg(figure, "accuracy-histogram", f"histogram of pixel accuracy over {len(accuracy_N)} patches; all pixels {pooled:.3f}")


def places(map_YX: npt.NDArray[np.floating], kept_YX: npt.NDArray[np.bool_], aspect: float) -> Markup:
    """The patch grid: accuracy of the scored patches in colour, other kept patches grey.

    Args:
        map_YX: accuracy per patch of the grid, NaN where none was scored.
        kept_YX: patches that the store holds.
        aspect: height over width of a patch on the ground.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=False)
        axes.imshow(np.where(kept_YX, 0.12, np.nan), cmap="Greys", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
        drawn = axes.imshow(map_YX, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        wide = map_YX.shape[1] > 1.6 * aspect * map_YX.shape[0]
        bar = figure.colorbar(drawn, ax=axes, location="bottom" if wide else "right", shrink=0.9, label="share of pixels that is right")
        bar.outline.set_visible(False)
        axes.set_title("Where", loc="left", fontsize=12, fontweight="bold")
        return _svg(figure, "accuracy-map", "map of the patch grid, north up, coloured by pixel accuracy")


class Mark(NamedTuple):
    """A figure in a plot, its interval and its trivial value; what is undefined is None and not drawn."""

    value: float | None
    interval: Sequence[float] | None
    trivial: float | None


def whiskers(names: Sequence[str], panels: Mapping[str, Sequence[Mark]]) -> Markup:
    """One panel per figure, one line per name: the figure as a dot, its interval as a bar, the trivial value as a tick."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10.8, 1.3 + 0.42 * len(names)), layout="constrained")
        for index, (title, marks) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), index + 1)
            for place, mark in enumerate(marks):
                if mark.interval is not None:
                    axes.plot(mark.interval, [place, place], color=VALIDATION, lw=5, alpha=0.35, solid_capstyle="round")
                if mark.value is not None:
                    axes.plot([mark.value], [place], "o", ms=7, color=VALIDATION)
                    axes.annotate(f"{mark.value:.3f}", (mark.value, place), (0, 8), textcoords="offset points", ha="center", fontsize=9.5)
                if mark.trivial is not None:
                    axes.plot([mark.trivial], [place], "|", ms=14, mew=2, color=ACCENT)
            axes.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.7), yticks=range(len(names)))
            axes.set_yticklabels(names if index == 0 else [], color=INK)
            axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        figure.supxlabel("dot and bar: the run and its 95 % interval; tick: one class everywhere", fontsize=10, color=MUTED)
        said = "; ".join(
            f"{title}: " + ", ".join(_spoken(*pair) for pair in zip(names, marks, strict=True)) for title, marks in panels.items()
        )
        return _svg(figure, "runs", said)


def _spoken(name: str, mark: Mark) -> str:
    return f"{name} undefined" if mark.value is None else f"{name} {mark.value:.3f}"


def png(rgb_YX3: npt.NDArray[np.uint8]) -> str:
    """A raster as a PNG data URI."""
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(rgb_YX3), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def gradient(name: str, steps: int = 9) -> str:
    """A colour map as a CSS gradient, low to high."""
    colours = mpl.colormaps[name](np.linspace(0, 1, steps), bytes=True)[:, :3]
    return "linear-gradient(90deg, " + ", ".join("rgb({}, {}, {})".format(*colour) for colour in colours.tolist()) + ")"


def diverging(values_YX: npt.NDArray[np.floating], limit: float) -> npt.NDArray[np.uint8]:
    """RGB of values on the diverging scale from -limit to limit."""
    scaled = np.clip(values_YX / limit, -1, 1) / 2 + 0.5 if limit else np.full(values_YX.shape, 0.5)
    return np.asarray(mpl.colormaps[DIVERGING](scaled, bytes=True))[..., :3]


def _mark_best(axes: Axes, history: pd.DataFrame, what: str, best: int) -> None:
    value = _at(history, best, f"validation_{what}")
    axes.axvline(best, color=RULE, lw=1.2, zorder=0)
    axes.plot([best], [value], "o", ms=8, mfc="white", mec=VALIDATION, mew=2.2)
    axes.set_title(f"kept epoch {best}: {value:.3f}", loc="right", fontsize=10.5, color=VALIDATION)


def _at(history: pd.DataFrame, epoch: int, column: str) -> float:
    return float(history.loc[history["epoch"] == epoch, column].iloc[0])


def _svg(figure: Figure, name: str, description: str) -> Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    # several figures share one page: ids must not meet
    text = re.sub(r'id="|url\(#|href="#', lambda match: f"{match[0]}{name}-", text)
    label = escape(description)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip())  # noqa: S704 - our own drawing
