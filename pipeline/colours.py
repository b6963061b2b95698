"""How far apart two colours look, to most people and to those who lack the red or the green cones.

Sources: Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula" (the difference of two colours in CIE Lab, D65); Machado,
Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency" (matrices of linear RGB, severity 1);
WCAG 2.2 (relative luminance and contrast ratio).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cropcam.pipeline.code_table import Color

Floats = npt.NDArray[np.float64]
RGB = npt.ArrayLike  # (.., 3), 0..255
BRIGHTER = 1.4  # gamma of true colour: vegetation is dark beside bare soil and roofs
ENOUGH, ANOTHER = 12.0, 5.0  # differences of two classes on a map; 1 is just visible side by side

_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
VISIONS: dict[str, Floats] = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}


def linear(rgb: RGB) -> Floats:
    """Linear RGB of 0..1 from sRGB (.., 3) of 0..255."""
    values = np.asarray(rgb, np.float64) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: RGB, vision: str = "normal") -> Floats:
    """CIE Lab (.., 3) of sRGB (.., 3) of 0..255, as one of `VISIONS` sees it."""
    seen = np.clip(linear(rgb) @ VISIONS[vision].T, 0, 1)
    ratio = seen @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(one: npt.ArrayLike, other: npt.ArrayLike) -> Floats:
    """The difference of colours in CIE Lab (.., 3), which broadcast; 1 is about the least that an eye sees side by side."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(values, np.float64), -1, 0) for values in (one, other))
    chroma_7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma_7 / (chroma_7 + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    turn = np.where(turn == -180, 180 * np.sign(h2 - h1), turn)  # half a turn has the sign of the plain difference
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    far = np.abs(h1 - h2) > 180
    hue = np.where(grey, h1 + h2, np.where(far, (h1 + h2 + np.where(h1 + h2 < 360, 360, -360)) / 2, (h1 + h2) / 2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    cosines = ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    by_hue = 1 + sum(weight * np.cos(np.radians(times * hue + shift)) for weight, times, shift in cosines)
    s_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * by_hue
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    d_light, d_chroma, d_hue = (l2 - l1) / s_light, (c2 - c1) / s_chroma, d_hue / s_hue
    return np.asarray(np.sqrt(np.maximum(d_light**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue, 0)))


def distances(one: RGB, other: RGB) -> Floats:
    """The least CIEDE2000 difference over `VISIONS` between sRGB colours (.., 3), which broadcast."""
    return np.asarray(np.min([ciede2000(lab(one, vision), lab(other, vision)) for vision in VISIONS], axis=0))


class Palette:
    """Colours handed out one by one, each apart from all before it.

    Args:
        spares: colours for who has none of its own, in order of preference.
        used: colours that are taken already.
        enough: the difference (`distances`) from which two colours count as apart.
    """

    def __init__(self, spares: Sequence[Color], used: Sequence[Color], enough: float = ENOUGH) -> None:
        self._spares, self._enough = list(spares), enough
        self._used: list[Color] = []
        self._apart = np.full(len(spares), np.inf)
        for color in used:
            self.add(color)

    def add(self, color: Color) -> Color:
        """Take this colour, near another one or not."""
        self._used.append(color)
        self._apart = np.minimum(self._apart, distances(self._spares, color))
        return color

    def fits(self, color: Color, *, published: bool = False) -> bool:
        """Whether a colour is apart from all that are taken; a published one need only look another one to most people."""
        if published:
            return bool(ciede2000(lab(color), lab(self._used)).min() >= ANOTHER)
        return bool(distances(color, self._used).min() >= self._enough)

    def spare(self) -> Color:
        """The first spare colour that is apart from all that are taken; where none is, the farthest."""
        good = np.flatnonzero(self._apart >= self._enough)
        return self.add(self._spares[int(good[0] if good.size else self._apart.argmax())])


def contrast(one: RGB, other: RGB) -> float:
    """The contrast ratio of two sRGB colours, 1 to 21; text needs 4.5."""
    low, high = sorted(float(linear(color) @ _TO_XYZ[1]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)
