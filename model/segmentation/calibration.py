"""The temperature of each segmentation method, fitted to the weak labels of the validation split.

A network is too sure of its pixels: its largest probability is higher than the share of correct pixels. Dividing the logits by a temperature
corrects that, and leaves every class decision as it is. The temperature is that of the greatest likelihood of the labels of the run's own
kind. No pixel truth beyond that kind is read. The labels count as they are: the weights of classes in the training are not applied.

    points, pixels  cross-entropy of the labelled pixels: the likelihood itself
    shares          divergence of the labelled shares from the mean probabilities of a patch or bag (`objectives.share_loss`)
    presence        of the mean probability being above the threshold, with the sharpness of `objectives.threshold_loss`. Also of networks
                    of one-vs-rest sigmoids: wherever a probability is asked for, their logits are read as those of exclusive classes
    majority        none: the likelihood rises as long as pixels are made surer (docs/results.md). The temperature is `POOLED`
    presence of any pixel   none: the likeliest temperature is half of the right one, or less. The temperature is `POOLED`

Mistakes within a patch cancel in its mean probability. So labels of patches fit pixels best that are too sure, and the temperature of the
greatest likelihood is multiplied by `POOLED`, which was measured with pixel truth elsewhere (docs/results.md).

A bias for each class was tried and is left out: it costs accuracy away from home (docs/results.md).

Source: Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cropcam.model.data.dataset import labels_of_splits
from cropcam.model.labels.weak_labels import OF_PIXELS, LabelSpec, WeakLabels
from cropcam.model.losses.objectives import OBJECTIVES, ModelOutputs, Targets
from cropcam.model.networks import Network, NetworkOutput
from cropcam.model.options import ANY_BELOW
from cropcam.model.runs.config import RunConfig
from cropcam.model.segmentation.methods import Method
from cropcam.model.segmentation.predictions import Indices, forward_batches
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.legend import UNLABELLED
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import evenly

LOWEST, HIGHEST = 0.05, 20.0
PRIOR_SD = 1.0  # of the log temperature about 0; the prior weighs as much as one labelled patch
MOST_PIXELS, MOST_PATCHES = 1_500_000, 2048  # of the validation split; of points the labelled pixels alone are kept
# The objective whose loss is the negative log likelihood, by kind of label.
LIKELIHOODS = {"presence": "threshold", "shares": "shares", "points": "cross-entropy", "pixels": "cross-entropy"}
POOLED = 1.45  # the temperature of the pixels over that of the greatest likelihood of patches: 1.25 to 1.76 in 9 methods of 5 networks
_NO_LABEL = "not fitted: the validation split has no label"


def calibrated(
    methods: Mapping[str, Method], network: Network, config: RunConfig, store: PatchStore, device: torch.device
) -> tuple[dict[str, Method], str]:
    """The methods with their temperatures, and the labels that these are fitted to, in words.

    Without a label in the validation split, or without the file that the labels come from, every temperature is 1, and the words say why.

    Args:
        methods: with temperature 1, by name.
        network: the run's, on `device`.
        config: the run's.
        store: the run's.
        device: of the network.
    """
    spec = config.label_spec
    if spec.kind not in LIKELIHOODS or (spec.kind == "presence" and spec.presence_min_share < ANY_BELOW):
        found = {name: replace(method, temperature=POOLED) for name, method in methods.items()}
        return found, f"the same for all runs: labels of {spec} do not show how sure pixels are"
    if not store.has_patches("validation"):
        return dict(methods), "not fitted: the validation split is empty"
    try:
        index_N, labels = labels_of_splits(store, ["validation"], spec, config.store.classes)
    except DataError as error:  # the file of labels may be gone since the training
        return dict(methods), f"not fitted: {error}"
    chosen = sample(labels, config.store.size_px)
    if not len(chosen):
        return dict(methods), _NO_LABEL
    labels = labels.of(chosen)
    logits, targets = logits_at_labels(methods, network, config, store, index_N[chosen], labels, device)
    if not (count := int(targets.label_count())):  # its labelled pixels have no image data
        return dict(methods), _NO_LABEL
    unlikely, pooled = negative_log_likelihood(spec, targets), 1.0 if spec.kind in OF_PIXELS else POOLED
    patches = len(np.unique(chosen if labels.bag_N is None else labels.bag_N))

    def temperature(name: str) -> float:
        return round(pooled * fitted_temperature(lambda t: unlikely(logits[name] / t), patches), 4)

    found = {name: replace(method, temperature=temperature(name)) for name, method in methods.items()}
    return found, f"fitted to {count:,} labels ({spec}) of {len(chosen):,} validation patches"


def sample(labels: WeakLabels, size_px: int) -> Indices:
    """Evenly spread labelled patches, ascending: at most `MOST_PIXELS` pixels, of points `MOST_PATCHES` patches; whole bags where they fit."""
    labelled = np.flatnonzero(labels.labelled())
    most = MOST_PATCHES if labels.kind == "points" else max(1, min(MOST_PATCHES, MOST_PIXELS // size_px**2))
    if len(labelled) <= most:
        return labelled
    if labels.bag_N is not None:
        bags, bag_L = np.unique(labels.bag_N[labelled], return_inverse=True)
        labelled = labelled[np.isin(bag_L, evenly(len(bags), max(1, most * len(bags) // len(labelled))))]
    return labelled[evenly(len(labelled), most)]


def negative_log_likelihood(spec: LabelSpec, targets: Targets) -> Callable[[Tensor], Tensor]:
    """The mean over labels as a function of logits (N, K, H, W); of a kind of label in `LIKELIHOODS`."""
    loss = OBJECTIVES[LIKELIHOODS[spec.kind]].loss

    def of(logits_NKHW: Tensor) -> Tensor:
        outputs = ModelOutputs(None, NetworkOutput(logits_NKHW.mean(dim=(2, 3)), logits_NKHW), targets.valid_BHW)
        vars(outputs)["logits_BKHW"] = logits_NKHW  # the cached property
        return loss(outputs, targets, spec.presence_min_share)

    return of


def fitted_temperature(unlikely: Callable[[Tensor], Tensor], patches: int) -> float:
    """The temperature of the greatest posterior, from `LOWEST` to `HIGHEST`, with four decimals.

    Args:
        unlikely: the negative log likelihood, the mean over labels, as a function of the temperature, a tensor without axes.
        patches: number of labelled patches, or bags. The pixels of one share their mistakes: it counts as one label against the prior, a
            normal distribution of the log temperature.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        log = torch.zeros((), requires_grad=True)
        optimizer = torch.optim.LBFGS([log], max_iter=40, line_search_fn="strong_wolfe")

        def posterior() -> Tensor:
            optimizer.zero_grad()
            kept = log.clamp(math.log(LOWEST), math.log(HIGHEST))
            value: Tensor = unlikely(kept.exp()) + (log / PRIOR_SD).square() / (2 * patches)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(posterior)  # type: ignore[no-untyped-call]
    return round(min(max(math.exp(log.item()), LOWEST), HIGHEST), 4)


@torch.no_grad()  # not inference mode, whose tensors cannot take part in the fit
def logits_at_labels(
    methods: Mapping[str, Method],
    network: Network,
    config: RunConfig,
    store: PatchStore,
    index_N: Indices,
    labels: WeakLabels,
    device: torch.device,
) -> tuple[dict[str, Tensor], Targets]:
    """Uncalibrated logits (N, K, H, W) of each method, and the labels; labels of pixels are N patches of one labelled pixel."""
    logits: dict[str, list[Tensor]] = {name: [] for name in methods}
    valid, done = [], 0
    for index_B, x_BCHW, outputs in forward_batches(network, config, store, index_N, device):
        here = slice(done, done := done + len(index_B))
        is_used_BHW = outputs.valid_BHW.cpu()
        if labels.pixel_NHW is not None:
            is_used_BHW = is_used_BHW & torch.from_numpy(labels.pixel_NHW[here] != UNLABELLED)
        valid.append(is_used_BHW)
        for name, method in methods.items():
            of_method_BKHW = method.uncalibrated(outputs.cams_BKHW, x_BCHW, outputs.valid_BHW).cpu()
            of_pixels = of_method_BKHW.movedim(1, -1)[is_used_BHW][:, :, None, None]
            logits[name].append(of_method_BKHW if labels.pixel_NHW is None else of_pixels)
    is_used_NHW = torch.cat(valid)
    found = {name: torch.cat(parts).float() for name, parts in logits.items()}

    def tensor(values: np.ndarray | None) -> Tensor | None:
        return None if values is None else torch.from_numpy(values)

    if labels.pixel_NHW is None:
        return found, Targets(is_used_NHW, tensor(labels.image_NK), bag_B=tensor(labels.bag_N), pct_B=tensor(labels.pct_N))

    def at_pixels(values_NHW: np.ndarray | None) -> Tensor | None:
        return None if values_NHW is None else torch.from_numpy(values_NHW)[is_used_NHW][:, None, None]

    pixel_P11 = at_pixels(labels.pixel_NHW)
    assert pixel_P11 is not None
    return found, Targets(torch.ones_like(pixel_P11, dtype=torch.bool), pixel_BHW=pixel_P11, pct_BHW=at_pixels(labels.pct_NHW))
