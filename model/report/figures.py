"""The report's plots as inline SVG, and rasters as PNG data URIs. The same input gives the same bytes."""

from __future__ import annotations

import base64
import io
import re
import warnings
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

from cropcam.model.report.formatting import shortened

INK, MUTED, RULE, PAPER = "#20302b", "#5f6f68", "#dfe5e1", "#ffffff"
TRAIN, VALIDATION, ACCENT = "#9aa8a1", "#0f6b5c", "#c2541b"
# colours of the page that its style sheet also has for dark screens
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", TRAIN: "train", VALIDATION: "accent", ACCENT: "guess"}
DIVERGING = "RdBu_r"  # blue against, red for a class; white is 0
SEQUENTIAL = "viridis"
_DASHED = (0, (5, 3))
_STYLE: Any = {
    "svg.hashsalt": "cropcam",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.size": 11,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "figure.figsize": (5.4, 3.3),
    "figure.constrained_layout.use": True,
}
CURVES = tuple(f"{split}_{column}" for column in ("loss", "accuracy") for split in ("train", "validation"))  # columns of `curve`


@mpl.rc_context(_STYLE)
def curve(history: pd.DataFrame, column: str, epoch: int, majority: float | None = None, names: tuple[str, str] = ("", "")) -> Markup:
    """Training and validation curves of "loss" or "accuracy" over epochs, with a mark at the epoch of the weights.

    Args:
        history: columns epoch, train_COLUMN, validation_COLUMN.
        column: loss or accuracy.
        epoch: of the selected weights.
        majority: value of the constant prediction, drawn as a line.
        names: title of the curve, if not `column`, and label of the line.
    """
    name, guess = names[0] or column, names[1]
    axes = Figure().add_subplot()
    marker = "o" if len(history) == 1 else None
    axes.plot(history["epoch"], history[f"train_{column}"], color=TRAIN, lw=1.8, marker=marker, label="training")
    axes.plot(history["epoch"], history[f"validation_{column}"], color=VALIDATION, lw=2.2, marker=marker, label="validation")
    if majority is not None:
        axes.axhline(majority, color=ACCENT, lw=1.2, ls=_DASHED, label=guess)
    value = float(history.loc[history["epoch"] == epoch, f"validation_{column}"].iloc[0])
    axes.axvline(epoch, color=RULE, lw=1.2, zorder=0)
    axes.plot([epoch], [value], "o", ms=8, mfc=PAPER, mec=VALIDATION, mew=2.2)
    axes.set_title(f"selected epoch {epoch}: {value:.3f}", loc="right", fontsize=10.5, fontweight="normal", color=VALIDATION)
    axes.set_title(name.capitalize())
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    words = f"{name} of training and validation over {len(history)} epochs; selected epoch {epoch}: {value:.3f}"
    return _svg(axes, f"{column}-curve", words)


@mpl.rc_context(_STYLE)
def accuracies(accuracy_N: npt.NDArray[np.floating], pooled: float, majority: float) -> Markup:
    """Histogram of patches by pixel accuracy, with the pooled accuracy and the majority guess."""
    axes = Figure().add_subplot()
    axes.hist(accuracy_N, bins=np.linspace(0, 1, 21).tolist(), color=VALIDATION, alpha=0.85, edgecolor=PAPER, lw=0.8)
    axes.axvline(pooled, color=INK, lw=1.8, label=f"all pixels {pooled:.3f}")
    axes.axvline(majority, color=ACCENT, lw=1.4, ls=_DASHED, label=f"majority guess {majority:.3f}")
    axes.set(xlim=(0, 1), xlabel="pixel accuracy of the patch", title="Patches")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=True, facecolor=PAPER, edgecolor="none")
    return _svg(axes, "accuracy-histogram", f"histogram of pixel accuracy over {len(accuracy_N)} patches; all pixels {pooled:.3f}")


@mpl.rc_context(_STYLE)
def seasons_curve(entries: Sequence[Mapping[str, Any]], majority: float) -> Markup:
    """Pixel accuracy by how many seasons are seen, with its 95 % interval where it has one, and the majority guess.

    Args:
        entries: `segmentation.seasons_seen` of metrics.json, in time order.
        majority: pixel accuracy of the majority guess.
    """
    known = [entry for entry in entries if entry["pixel_accuracy"] is not None]
    axes = Figure().add_subplot()
    axes.plot([entry["seasons"] for entry in known], [entry["pixel_accuracy"] for entry in known], "o-", color=VALIDATION, lw=2.2, ms=7)
    for entry in known:
        if (interval := entry["pixel_accuracy_ci95"]) is not None:
            axes.plot([entry["seasons"]] * 2, interval, color=VALIDATION, lw=5, alpha=0.35, solid_capstyle="round")
        axes.annotate(
            f"{entry['pixel_accuracy']:.3f}", (entry["seasons"], entry["pixel_accuracy"]), (0, -24), textcoords="offset points", ha="center"
        )
    axes.axhline(majority, color=ACCENT, lw=1.4, ls=_DASHED, label=f"majority guess {majority:.3f}")
    axes.set(xlim=(0.7, len(entries) + 0.6), ylim=(0, 1), xlabel="seasons seen, up to", title="Pixel accuracy by seasons seen")
    axes.set_xticks(
        [entry["seasons"] for entry in entries], [f"{entry['seasons']}\n{entry['season'].rpartition('/')[2]}" for entry in entries]
    )
    axes.legend()
    words = (f"{entry['pixel_accuracy']:.3f} with {entry['seasons']}" for entry in known)
    return _svg(axes, "seasons-curve", f"pixel accuracy by how many of {len(entries)} seasons are seen: {', '.join(words)}")


@mpl.rc_context(_STYLE)
def places(map_YX: npt.NDArray[np.floating], kept_YX: npt.NDArray[np.bool_], aspect: float, store: str = "", number: int = 0) -> Markup:
    """The patch grid: accuracy of the evaluated patches in colour, other kept patches grey.

    Args:
        map_YX: accuracy per patch of the grid, NaN where none was evaluated.
        kept_YX: patches of the store.
        aspect: height over width of a patch on the ground.
        store: name of the store, of several.
        number: of the map on the page.
    """
    axes = Figure().add_subplot()
    axes.imshow(np.where(kept_YX, 0.6, np.nan), cmap="Greys", vmin=0, vmax=1, aspect=aspect, interpolation="nearest", alpha=0.45)
    drawn = axes.imshow(map_YX, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[], title=f"Where: {shortened(store, 36)}" if store else "Where")
    axes.spines[:].set_visible(False)
    wide = map_YX.shape[1] > 1.6 * aspect * map_YX.shape[0]
    bar = axes.get_figure(root=True).colorbar(drawn, ax=axes, location="bottom" if wide else "right", shrink=0.9, label="pixel accuracy")  # type: ignore[union-attr]
    bar.outline.set_visible(False)
    of_store = f" of {store}" if store else ""
    return _svg(axes, f"accuracy-map-{number}", f"map of the patch grid{of_store}, north up, coloured by pixel accuracy")


@mpl.rc_context(_STYLE)
def reliability(title: str, color: str, part: Mapping[str, Any], name: str) -> Markup:
    """A reliability curve: observed share over mean probability with intervals, the diagonal, and below the pixels of each bin.

    Args:
        title: of the curve.
        color: of the class, hexadecimal.
        part: with `ece` and `reliability` (`cropcam.model.evaluation.calibration`).
        name: of the curve, for ids on the page.
    """
    bins, places = part["reliability"], [place for place, count in enumerate(part["reliability"]["pixels"]) if count]
    figure = Figure(figsize=(3.0, 3.5))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    mean, share = ([bins[key][place] for place in places] for key in ("probability", "share"))
    axes.plot([0, 1], [0, 1], color=ACCENT, lw=1.2, ls=_DASHED)
    spans = [(at, bins["share_ci95"][place]) for at, place in zip(mean, places, strict=True) if bins["share_ci95"][place]]
    axes.vlines([at for at, _ in spans], [low for _, (low, _) in spans], [high for _, (_, high) in spans], color=INK, lw=4, alpha=0.25)
    axes.plot(mean, share, "-o", color=INK, mfc=color, mec=INK, ms=5.5, mew=0.9, lw=1.2)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], ylabel="observed share")
    axes.set_title(shortened(title, 18), fontsize=11)
    axes.set_title("" if part["ece"] is None else f"ECE {part['ece']:.3f}", loc="right", fontsize=10, fontweight="normal", color=MUTED)
    count, total = len(bins["pixels"]), sum(bins["pixels"])
    below.bar(
        [(place + 0.5) / count for place in range(count)],
        [100 * pixels / max(total, 1) for pixels in bins["pixels"]],
        0.9 / count,
        color=TRAIN,
    )
    below.set(xlabel="probability", ylabel="% of px", xticks=[0, 0.5, 1])
    below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    pairs = ", ".join(f"{at:.2f} {seen:.2f}" for at, seen in zip(mean, share, strict=True))
    return _svg(axes, f"reliability-{name}", f"reliability of {title}: probability and observed share {pairs}")


class Mark(NamedTuple):
    """A metric in a plot, its interval and its trivial value; undefined ones are None and not drawn."""

    value: float | None
    interval: Sequence[float] | None
    trivial: float | None


@mpl.rc_context(_STYLE)
def whiskers(names: Sequence[str], title: str, marks: Sequence[Mark]) -> Markup:
    """One line per name: the metric as a dot, its interval as a bar, the trivial value as a tick."""
    axes = Figure(figsize=(5.4, 1.3 + 0.42 * len(names))).add_subplot()
    for place, mark in enumerate(marks):
        if mark.interval is not None:
            axes.plot(mark.interval, [place, place], color=VALIDATION, lw=5, alpha=0.35, solid_capstyle="round")
        if mark.value is not None:
            axes.plot([mark.value], [place], "o", ms=7, color=VALIDATION)
            axes.annotate(f"{mark.value:.3f}", (mark.value, place), (0, 8), textcoords="offset points", ha="center", fontsize=9.5)
        if mark.trivial is not None:
            axes.plot([mark.trivial], [place], "|", ms=14, mew=2, color=ACCENT)
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.7), yticks=range(len(names)), title=title)
    axes.set_yticklabels([shortened(name, 28) for name in names], color=INK)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xlabel("bar: 95 % interval; tick: one class everywhere", fontsize=10, loc="right")
    values = ("undefined" if mark.value is None else f"{mark.value:.3f}" for mark in marks)
    words = f"{title}: " + ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
    return _svg(axes, f"runs-{title.casefold().replace(' ', '-')}", words)


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


def _svg(axes: Axes, name: str, description: str) -> Markup:
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts draw the letters
        axes.get_figure(root=True).savefig(buffer, format="svg", transparent=True, metadata=metadata)  # type: ignore[union-attr]
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    # several figures share one page: ids must differ
    text = re.sub(r'id="|url\(#|href="#', lambda match: f"{match[0]}{name}-", text)
    text = re.sub("|".join(_VARIABLES), lambda match: f"var(--{_VARIABLES[match[0]]})", text)
    label = escape(description)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip())  # noqa: S704 - our own drawing
