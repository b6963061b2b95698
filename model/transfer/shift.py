"""How far an image is from what a run has seen: measured figures, the line that warns, and the lines to print."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cropcam.model.transfer.domain import Place
from cropcam.model.transfer.score import THRESHOLD, WEIGHTS, Terms, score
from cropcam.model.transfer.seen import Seen
from cropcam.model.transfer.tally import QUANTILES, Figures, Floats, Tally

INNER = slice(2, 7)  # of `QUANTILES`: 5 to 95 %
NEXT = "adapt it with areas or points of this place: cropcam train STORE --init RUN --labels shares --areas FILE"


@dataclass(frozen=True)
class BlockShift:
    """A spatial block of a store."""

    row: int  # of the blocks of the splits
    col: int
    pixels: int
    outside: float  # share of the pixels outside the run's range in any band
    far: float  # share beyond the home's 99 % feature distance


@dataclass(frozen=True)
class Shift:
    """An image against the home of a run. Shares are 0..1, distances of bands in the home's standard deviations."""

    bands: tuple[str, ...]
    classes: tuple[str, ...]
    here: Figures
    home: Figures
    band_sd_C: tuple[float, ...]  # mean absolute difference of the 5 to 95 % quantiles from those of the training pixels
    aligned_sd_C: tuple[float, ...]  # the same after the best gain and offset of each band
    blocks: tuple[BlockShift, ...]  # none where the image has no blocks
    place: Place

    @classmethod
    def of(cls, seen: Seen, classes: tuple[str, ...], tally: Tally, place: Place) -> Shift | None:
        """From the counted pixels of an image; None where there are none."""
        if not tally.pixels:
            return None
        assert seen.home is not None
        here = tally.figures()
        home_CQ = (np.array(seen.quantiles_CQ) - np.array(seen.mean_C)[:, None]) / np.array(seen.std_C)[:, None]
        raw_C, aligned_C = band_distances(np.array(here.quantiles_CQ), home_CQ)
        blocks = (
            BlockShift(row, col, int(pixels), outside / pixels, far / pixels)
            for (row, col), (pixels, outside, far) in sorted(tally.block_counts.items())
            if pixels
        )
        return cls(seen.bands, classes, here, seen.home, tuple(raw_C), tuple(aligned_C), tuple(blocks), place)

    @property
    def terms(self) -> Terms:
        """What the score is made of."""
        differences = np.abs(np.array(self.here.class_shares_K) - self.home.class_shares_K)
        return Terms(max(self.here.unsure - self.home.unsure, 0.0), max(self.here.far - self.home.far, 0.0), float(differences.sum() / 2))

    @property
    def score(self) -> float:
        """The scalar that decides the warning (`cropcam.model.transfer.score`)."""
        return score(self.terms)

    @property
    def warns(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.score >= THRESHOLD

    def warning(self) -> str:
        """One line with the strongest reasons and the next step; empty below the threshold."""
        if not self.warns:
            return ""
        reasons = [*self._reasons()[:2], *([text] if (text := self.place.text()) else [])]
        return f"warning: {'; '.join(reasons)}; the map may be wrong: {NEXT}"

    def note(self) -> str:
        """One line where the place or the season differ; empty otherwise."""
        return self.place.note()

    def lines(self) -> list[str]:
        """The figures as text, a fact a line."""
        band = int(np.argmax(self.band_sd_C))
        shares = (
            f"{name} {share:.1%} ({home:.1%})"
            for name, share, home in zip(self.classes, self.here.class_shares_K, self.home.class_shares_K, strict=True)
        )
        lines = [
            f"shift           {self.score:.2f}, a warning from {THRESHOLD:.2f} on; {self.here.pixels:,} pixels measured",
            f"outside         {self.here.outside:.1%} of the pixels in some band (home {self.home.outside:.1%}), "
            f"{self.here.far:.1%} by features (home {self.home.far:.1%})",
            f"confidence      {self.here.confidence:.3f} on average (home {self.home.confidence:.3f})",
            f"classes         {', '.join(shares)}",
            f"bands           {self.bands[band]} differs most: {self.band_sd_C[band]:.2f} standard deviations, "
            f"{self.aligned_sd_C[band]:.2f} after its best gain and offset",
        ]
        return [*lines, *([f"place           {text}"] if (text := self.place.text()) else [])]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        by_band = {
            name: {"below": below, "above": above, "difference_sd": raw, "aligned_difference_sd": aligned}
            for name, below, above, raw, aligned in zip(
                self.bands, self.here.below_C, self.here.above_C, self.band_sd_C, self.aligned_sd_C, strict=True
            )
        }
        return {
            "score": self.score,
            "threshold": THRESHOLD,
            "warning": self.warning(),
            "terms": self.terms._asdict(),
            "bands": by_band,
            "band_difference_sd": float(np.mean(self.band_sd_C)),
            "aligned_band_difference_sd": float(np.mean(self.aligned_sd_C)),
            "here": self._figures(self.here),
            "home": self._figures(self.home),
            "blocks": [asdict(block) for block in self.blocks],
            "place": asdict(self.place),
        }

    def _figures(self, figures: Figures) -> dict[str, Any]:
        names = ("pixels", "outside", "outside_class", "far", "unsure", "confidence")
        shares = dict(zip(self.classes, figures.class_shares_K, strict=True))
        return {**{name: getattr(figures, name) for name in names}, "class_shares": shares}

    def _reasons(self) -> list[str]:
        """What differs, the largest part of the score first; the darkest or brightest band explains far features."""
        here, home, terms = self.here, self.home, self.terms
        index = int(np.argmax(np.abs(np.array(here.class_shares_K) - home.class_shares_K)))
        far = f"{here.far:.0%} of the pixels have features unlike any class of the run (home {home.far:.0%})"
        sides = (("darker", here.below_C), ("brighter", here.above_C))
        share, side, band = max((share, side, band) for side, share_C in sides for band, share in zip(self.bands, share_C, strict=True))
        if share >= max(here.far / 2, 0.05):
            far = f"{share:.0%} of the pixels are {side} in {band} than 99.9% of those the run has seen"
        texts = (
            f"{here.unsure:.0%} of the pixels are less sure than 80% are at home",
            far,
            f"{self.classes[index]} is {here.class_shares_K[index]:.0%} of the map, {home.class_shares_K[index]:.0%} at home",
        )
        parts = sorted(zip(WEIGHTS, terms, texts, strict=True), key=lambda part: -part[0] * part[1])
        return [text for weight, term, text in parts if weight * term >= THRESHOLD / 4]


def band_distances(here_CQ: Floats, home_CQ: Floats) -> tuple[list[float], list[float]]:
    """Mean absolute difference per band of the quantiles from 5 to 95 %, and the same after the least-squares gain and offset of the band.

    Both arguments are quantiles (band, `QUANTILES`) in the same unit, the unit of the result.
    """
    assert here_CQ.shape[1] == len(QUANTILES)
    raw, aligned = [], []
    for here_Q, home_Q in zip(here_CQ[:, INNER], home_CQ[:, INNER], strict=True):
        raw.append(float(np.abs(here_Q - home_Q).mean()))
        design = np.stack([here_Q, np.ones_like(here_Q)], axis=1)
        fitted_Q = design @ np.linalg.lstsq(design, home_Q, rcond=None)[0]
        aligned.append(float(np.abs(fitted_Q - home_Q).mean()))
    return raw, aligned
