"""Mean teacher: the average of weights against a plain loop, the loss terms and their start, the saved state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cropcam.model.losses.objectives import ModelOutputs, Targets
from cropcam.model.networks import Network, build
from cropcam.model.strategies.mean_teacher import BURN_IN_FRACTION, DECAY, MeanTeacher


def teacher_of(network: Network, *, weight: float = 2.0, epochs: int = 10, steps_per_epoch: int = 5) -> MeanTeacher:
    return MeanTeacher(network, weight=weight, epochs=epochs, steps_per_epoch=steps_per_epoch)


def weights(teacher: MeanTeacher) -> dict[str, torch.Tensor]:
    return {name.removeprefix("teacher."): tensor for name, tensor in teacher.state_dict().items()}


def changed(network: Network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            else:
                value.add_(1)


def test_the_average_follows_its_formula() -> None:
    network = build("fcn", 2, 3)
    teacher, mean = teacher_of(network), {name: value.double().clone() for name, value in network.state_dict().items()}
    for step in (0, 1, 2, 5000):
        changed(network, step)
        teacher.after_step(network, step)
        keep = min(DECAY, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            mean[name] = keep * mean[name] + (1 - keep) * value.double() if value.is_floating_point() else value.double()
    for name, value in weights(teacher).items():
        torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_initial_weights_fade() -> None:
    network = build("fcn", 2, 3)
    teacher = teacher_of(network)
    changed(network, 1)
    for step in range(60):
        teacher.after_step(network, step)
    student, average = dict(network.named_parameters()), weights(teacher)
    assert max((average[name] - value).abs().max().item() for name, value in student.items()) < 1e-3


def test_the_teacher_has_no_gradients_and_leaves_the_student_alone() -> None:
    network = build("fcn", 2, 3)
    teacher = teacher_of(network)
    assert all(weight.requires_grad for weight in network.parameters())
    assert not teacher.logits_on_flipped(torch.randn(2, 2, 9, 9), 0).requires_grad


@pytest.mark.parametrize("model", ["fcn", "unet", "baseline"])
def test_logits_are_computed_on_flipped_patches(model: str) -> None:
    network = build(model, 2, 3).eval()
    teacher, x, valid = teacher_of(network), torch.randn(2, 2, 16, 20), torch.ones(2, 16, 20, dtype=torch.bool)
    with torch.no_grad():
        plain = ModelOutputs(network, network(x), valid).logits_BKHW
        flipped = [teacher.logits_on_flipped(x, step) for step in range(4)]
        by_rows = ModelOutputs(network, network(x.flip(2)), valid).logits_BKHW.flip(2)
    torch.testing.assert_close(flipped[0], by_rows)
    torch.testing.assert_close(flipped[3], flipped[0])
    assert all(logits.shape == plain.shape and not torch.allclose(logits, plain) for logits in flipped)
    assert not torch.allclose(flipped[0], flipped[1])
    assert not torch.allclose(flipped[1], flipped[2])


def test_the_term_starts_after_the_burn_in_and_is_weighted() -> None:
    network = build("fcn", 2, 3).eval()
    x, valid = torch.randn(2, 2, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
    outputs, targets = ModelOutputs(network, network(x), valid), Targets(valid, pixel_BHW=torch.zeros(2, 8, 8, dtype=torch.uint8))
    single, double = teacher_of(network, weight=1.0), teacher_of(network, weight=2.0)
    assert single.first_epoch == round(BURN_IN_FRACTION * 10)
    assert list(single.loss_terms(x, outputs, targets, 5 * single.first_epoch - 1)) == []
    ((loss, pixels),) = single.loss_terms(x, outputs, targets, 5 * single.first_epoch)
    ((twice, _),) = double.loss_terms(x, outputs, targets, 5 * single.first_epoch)
    assert twice.item() == pytest.approx(2 * loss.item())
    assert pixels().item() == valid.sum().item()
    assert len(single.loss_terms(x, outputs, targets, None)) == 1, "validation counts the term in every epoch"


def test_an_empty_batch_has_a_term_of_nothing() -> None:
    network = build("fcn", 2, 3)
    x, valid = torch.randn(0, 2, 8, 8), torch.ones(0, 8, 8, dtype=torch.bool)
    ((loss, pixels),) = teacher_of(network).loss_terms(x, ModelOutputs(network, network(x), valid), Targets(valid), None)
    assert (loss.item(), pixels().item()) == (0, 0)


def test_the_state_reads_back_equal() -> None:
    network, other = build("fcn", 2, 3), build("fcn", 2, 3)
    teacher, restored = teacher_of(network), teacher_of(other)
    changed(network, 4)
    teacher.after_step(network, 0)
    assert restored.state_shapes() == teacher.state_shapes()
    restored.load_state_dict(teacher.state_dict())
    for each in (teacher, restored):
        each.after_step(network, 1)
    assert all(torch.equal(value, restored.state_dict()[name]) for name, value in teacher.state_dict().items())


def test_the_loss_is_the_cross_entropy_with_the_teachers_argmax() -> None:
    """Against numpy, over the pixels with image data."""
    network = build("fcn", 2, 3).eval()
    x, valid = torch.randn(2, 2, 6, 7), torch.rand(2, 6, 7) < 0.8
    outputs, teacher = ModelOutputs(network, network(x), valid), teacher_of(network, weight=3.0)
    ((loss, pixels),) = teacher.loss_terms(x, outputs, Targets(valid, pixel_BHW=torch.zeros(2, 6, 7, dtype=torch.uint8)), None)
    logits = outputs.logits_BKHW.detach().double().numpy()
    log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    chosen = np.take_along_axis(log, teacher.logits_on_flipped(x, 0).numpy().argmax(axis=1)[:, None], axis=1)[:, 0]
    assert pixels() == valid.sum()
    assert loss.item() == pytest.approx(-3 * chosen[valid.numpy()].mean(), rel=1e-5)


def test_without_a_valid_pixel_the_loss_is_zero() -> None:
    network = build("fcn", 2, 3)
    x, valid = torch.randn(1, 2, 6, 6), torch.zeros(1, 6, 6, dtype=torch.bool)
    ((loss, pixels),) = teacher_of(network).loss_terms(x, ModelOutputs(network, network(x), valid), Targets(valid), None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert (loss.item(), pixels().item()) == (0, 0)
    assert all(weight.grad is not None and not weight.grad.any() for weight in network.parameters())
