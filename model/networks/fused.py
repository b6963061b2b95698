"""Each batch norm inside the convolution before it: the same function in evaluation mode, with fewer passes over memory."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cropcam.model.networks.base import Network

TOLERANCE = 1e-9  # of the largest value of the maps, in double precision: another function differs by more


def fused(network: Network, bands: int, size_px: int) -> Network:
    """A copy with the batch norms of each `nn.Sequential` inside the convolutions right before them; the network itself where that is not the same function.

    A network may use the parts of a sequence one by one, so its maps of a random patch are compared, in double precision.

    Args:
        network: in evaluation mode; a copy is not trained again.
        bands: of its input.
        size_px: of a patch that it takes.
    """
    exact, kind = deepcopy(network).double(), network.dense.weight.dtype
    copied, count = deepcopy(exact), 0
    for module in copied.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for (name, part), (next_name, following) in list(pairwise(module.named_children())):
            if type(part) is nn.Conv2d and type(following) is nn.BatchNorm2d and following.track_running_stats:
                module._modules[name] = fuse_conv_bn_eval(part, following)
                module._modules[next_name] = nn.Identity()
                count += 1
    if not count:
        return network
    generator = torch.Generator().manual_seed(0)
    x_BCHW = torch.randn(1, bands, size_px, size_px, generator=generator).to(network.dense.weight.device).double()
    try:
        with torch.inference_mode():
            before, after = exact.maps(x_BCHW), copied.maps(x_BCHW)
    except RuntimeError:  # a network of its own that mixes in numbers of single precision
        return network
    same = torch.allclose(before, after, rtol=0, atol=TOLERANCE * float(before.abs().max()))
    return copied.to(kind) if same else network
