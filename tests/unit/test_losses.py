from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.losses import presence_loss


@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 20))
def test_is_the_mean_binary_cross_entropy(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits_BK, label_BK = rng.normal(0, scale, (4, 5)), (rng.random((4, 5)) < 0.5).astype(np.float64)
    p = 1 / (1 + np.exp(-logits_BK))
    expected = -(label_BK * np.log(p) + (1 - label_BK) * np.log1p(-p)).mean() if scale < 5 else None
    ours = presence_loss(torch.from_numpy(logits_BK), torch.from_numpy(label_BK)).item()
    stable = (np.logaddexp(0, logits_BK) - label_BK * logits_BK).mean()
    np.testing.assert_allclose(ours, stable, rtol=1e-9)
    if expected is not None:
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_saturated_wrong_answer_still_learns() -> None:
    logits_BK = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = presence_loss(logits_BK, torch.tensor([[0.0, 1.0]]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 200.0
    assert logits_BK.grad is not None
    assert logits_BK.grad.tolist() == [[0.5, -0.5]]
