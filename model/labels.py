"""From the truth of a patch to the weak label that a network learns from.

Axis suffixes: N patch, K class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def presence(share_NK: npt.NDArray[np.float32], min_share: float) -> npt.NDArray[np.float32]:
    """1 where a class covers more than `min_share` of a patch's labelled pixels, else 0; float32 (N, K).

    `min_share` 0 is the poster's rule: one pixel is enough.

    >>> presence(np.array([[0.0, 0.04, 0.96]], np.float32), 0.05)
    array([[0., 0., 1.]], dtype=float32)
    """
    # the bound is rounded to the shares' own type: in float64 a share stored as float32(0.05) would exceed 0.05
    return (share_NK > np.float32(min_share)).astype(np.float32)
