"""The contract of a network (docs/networks.md), checked before it is trained. Axis suffixes: B batch, C band, F feature, h/w map cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from cropcam.model.networks.base import Network
from cropcam.model.networks.cam import to_pixels
from cropcam.pipeline.errors import ConfigError

PAGE = "docs/networks.md has the contract"
PATCHES = 2  # of the trial: batch norm needs more than one value
_LONGEST = 300  # characters of a foreign error


def one_line(error: BaseException) -> str:
    """An error's type and the first line of its message."""
    lines = str(error).strip().splitlines() or ["without a message"]
    return f"{type(error).__name__}: {lines[0].strip()[:_LONGEST]}"


def check_parts(network: Network, name: str, classes: int) -> None:
    """Check `dense`, `stride` and that the weights can be written.

    Raises:
        ConfigError: one of them is missing or not as required.
    """
    if fault := next(_faulty_parts(network, classes), None):
        raise ConfigError(f"network {name}: {fault} ({PAGE})")


def check_maps(network: Network, name: str, *, bands: int, size_px: int) -> None:
    """Run the network on two random patches, forward and backward. Its weights and buffers and the random state stay as they are.

    Raises:
        ConfigError: the patch size is not possible; `maps` raises; maps have another shape than (B, F, size_px // stride, size_px // stride),
            are not finite or have no gradient; a trained parameter has none; logits are not those of the maps; maps depend on pixels beyond
            `context_px`, or on where a window begins that `align_px` allows.
    """
    before, training = {key: value.clone() for key, value in network.state_dict().items()}, network.training
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            trials = (_faulty_size(network, size_px), _faulty_maps(network, torch.randn(PATCHES, bands, size_px, size_px)))
            fault = next(chain(*trials, _faulty_context(network, bands)), None)
    finally:
        network.zero_grad(set_to_none=True)
        network.load_state_dict(before)
        network.train(training)
    if fault:
        raise ConfigError(f"network {name}: {fault} ({PAGE})")


def _faulty_context(network: Network, bands: int) -> Iterator[str]:
    """A map is made of windows with a halo of `context_px` that begin at multiples of `align_px`: no pixel beyond may change a map, nor may the window."""
    if network.context_px is None:
        return
    square, context = network.align_px, network.context_px
    if type(square) is not int or square < 1 or type(context) is not int or context < 0:
        yield f"its `align_px` is {square!r} and its `context_px` {context!r}; they must be whole numbers of pixels, of at least 1 and 0"
        return
    margin = -(-context // square) * square + square
    side, width = square + 2 * margin, 2 * square + 2 * margin
    one_BCHW, other_BCHW = torch.randn(2, 1, bands, side, width)
    seen = slice(margin - context, margin + square + context)
    other_BCHW[:, :, seen, seen] = one_BCHW[:, :, seen, seen]
    network.eval()
    try:
        with torch.inference_mode():
            one, other, later = (
                to_pixels(network.maps(x_BCHW), network.stride, *x_BCHW.shape[2:])
                for x_BCHW in (one_BCHW, other_BCHW, one_BCHW[..., square:].contiguous())
            )
    except Exception as error:  # noqa: BLE001 - code that is not ours
        yield f"a window of {side} x {width} px, for its `context_px` of {context}, raised {one_line(error)}; leave `context_px` at None"
        return
    rows, cols, next_cols = (slice(first, first + square) for first in (margin, margin, margin + square))
    if not torch.allclose(one[:, :, rows, cols], other[:, :, rows, cols], rtol=1e-3, atol=1e-4):
        yield f"its maps depend on pixels beyond its `context_px` of {context}; correct it, or leave it at None (with `align_px` {square})"
    elif not torch.allclose(one[:, :, rows, next_cols], later[:, :, rows, cols], rtol=1e-3, atol=1e-4):
        yield (
            f"a window that begins `align_px` = {square} px later gives other maps; `align_px` must be a multiple of everything that it "
            "pools by, or leave `context_px` at None"
        )


def _faulty_parts(network: Network, classes: int) -> Iterator[str]:
    dense, stride = getattr(network, "dense", None), getattr(network, "stride", None)
    if not isinstance(dense, nn.Linear) or getattr(dense, "bias", None) is None or dense.out_features != classes:
        yield f"its `dense` is {'missing' if dense is None else dense}; it must be nn.Linear(features, {classes}) with a bias"
    if type(stride) is not int or stride < 1:
        yield f"its `stride` is {'missing' if stride is None else repr(stride)}; it must be a whole number of input pixels per cell of the maps"
    names_by_storage = defaultdict(list)
    tensors: dict[str, Any] = network.state_dict()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or nn.parameter.is_lazy(tensor):
            yield f"its state {name} is no tensor of known shape, which a checkpoint cannot hold; give every layer its sizes"
        elif tensor.numel():
            names_by_storage[tensor.untyped_storage().data_ptr()].append(name)
    for names in names_by_storage.values():
        if len(names) > 1:
            yield f"{' and '.join(names)} share memory, which a checkpoint cannot hold; give each its own tensor"


def _faulty_size(network: Network, size_px: int) -> Iterator[str]:
    for rule, possible in (
        (f"of at least {network.min_size_px} px", size_px >= network.min_size_px),
        (f"whose side is a multiple of {network.size_multiple_px} px", size_px % network.size_multiple_px == 0),
        (f"of at least its stride, {network.stride} px", size_px >= network.stride),
    ):
        if not possible:
            yield f"it needs patches {rule}; those of the store have {size_px} px: build a store with another patches.size_px"


def _faulty_maps(network: Network, x_BCHW: Tensor) -> Iterator[str]:
    features, cells = network.dense.in_features, x_BCHW.shape[2] // network.stride
    expected = (PATCHES, features, cells, cells)
    for training in (True, False):
        network.train(training)
        given = f"patches {tuple(x_BCHW.shape)} in {'training' if training else 'evaluation'} mode"
        try:
            maps_BFhw: Any = network.maps(x_BCHW)
            if not isinstance(maps_BFhw, Tensor) or not maps_BFhw.is_floating_point() or maps_BFhw.shape != expected:
                returned = f"{tuple(maps_BFhw.shape)} {maps_BFhw.dtype}" if isinstance(maps_BFhw, Tensor) else type(maps_BFhw).__name__
                yield (
                    f"maps of {given} are {returned}, expected {expected} of floats: "
                    f"(B, dense.in_features, H // stride, W // stride) with stride {network.stride}"
                )
            elif not maps_BFhw.isfinite().all():
                yield f"maps of random {given} hold NaN or infinity"
            elif training:
                yield from _faulty_gradients(network, maps_BFhw)
            else:
                logits_BK = network(x_BCHW).logits_BK
                if not torch.allclose(logits_BK, network.dense(maps_BFhw.mean(dim=(2, 3))), rtol=1e-3, atol=1e-4):
                    yield "its logits are not dense(mean of the maps); leave `forward` and `pooled` as they are"
        except Exception as error:  # noqa: BLE001 - code that is not ours: whatever it raises becomes one line
            yield f"{given} raised {one_line(error)}"


def _faulty_gradients(network: Network, maps_BFhw: Tensor) -> Iterator[str]:
    trained = {key: value for key, value in network.named_parameters() if value.requires_grad and not key.startswith("dense.")}
    if not trained:
        return
    if not maps_BFhw.requires_grad:
        yield "its maps have no gradient: something detaches them, or they are computed without torch"
        return
    (maps_BFhw * torch.randn_like(maps_BFhw)).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {key: value.grad for key, value in trained.items()}
    if unused := [key for key, gradient in gradients.items() if gradient is None]:
        more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
        yield f"its parameters {', '.join(unused[:3])}{more} have no gradient: remove them, or set requires_grad = False"
    known = [gradient for gradient in gradients.values() if gradient is not None]
    if not all(gradient.isfinite().all() for gradient in known):
        yield "its gradients hold NaN or infinity"
    if not any(gradient.any() for gradient in known):
        yield "the gradient of its maps is 0 for every parameter"
