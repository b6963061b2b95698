"""Options of a constructor and defaults of training settings that a network declares."""

from __future__ import annotations

from typing import Any

import pytest

from cropcam.model.networks import Network
from cropcam.model.networks.declared_options import complete_options, options_of, parse_options, training_defaults
from cropcam.model.networks.fcn import FCN
from cropcam.pipeline.errors import ConfigError


class Declared(Network):
    def __init__(  # only its signature counts
        self,
        bands: int,  # noqa: ARG002
        classes: int,  # noqa: ARG002
        depth: int = 9,  # noqa: ARG002
        *,
        width: int = 4,  # noqa: ARG002
        slope: float = 0.5,  # noqa: ARG002
        wide: bool = False,  # noqa: ARG002
        encoder: str = "small",  # noqa: ARG002
        sizes: tuple[int, ...] = (),  # noqa: ARG002
        text: str = "a,b",  # noqa: ARG002
    ) -> None:
        super().__init__()


def test_options_are_keywords_with_a_plain_default() -> None:
    assert options_of(Declared) == {"width": 4, "slope": 0.5, "wide": False, "encoder": "small"}
    assert options_of(FCN) == {}


def test_values_have_the_type_of_their_default() -> None:
    given = parse_options(Declared, " width=8, slope=1e-2,wide=TRUE,encoder=resnet18.a1=x,", "n")
    assert given == {"width": 8, "slope": 0.01, "wide": True, "encoder": "resnet18.a1=x"}
    assert parse_options(Declared, "", "n") == {}


def test_complete_options_name_every_option_and_read_back() -> None:
    text = complete_options(Declared, "wide=true", "n")
    assert text == "width=4,slope=0.5,wide=true,encoder=small"
    assert complete_options(Declared, text, "n") == text
    assert complete_options(FCN, "", "fcn") == ""


def test_options_that_follow_from_the_store_need_no_name_and_take_no_other_value() -> None:
    of_store = {"encoder": "1/2", "unknown": "x"}
    text = complete_options(Declared, "width=8", "n", of_store)
    assert text == "width=8,slope=0.5,wide=false,encoder=1/2"
    assert complete_options(Declared, text, "n", of_store) == text
    assert complete_options(FCN, "", "fcn", of_store) == ""
    with pytest.raises(
        ConfigError,
        match=r"^--model-options encoder=3: the option encoder of the network n follows from the store, which has 1/2; leave it out$",
    ):
        complete_options(Declared, "encoder=3", "n", of_store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "widht=8",
            r"widht=8: the network n has no option 'widht' \(is it 'width'\?\); its options: width=4, slope=0\.5, wide=false, encoder",
        ),
        ("sizes=1", r"has no option 'sizes'"),
        ("depth=1", r"has no option 'depth'"),
        ("width=8.5", r"width=8\.5: the option width of the network n must be width= and a whole number$"),
        ("width", r"width: the option width of the network n must be width= and a whole number$"),
        ("width=__import__('os')", r"must be width= and a whole number$"),
        ("wide=1", r"must be wide= and true or false$"),
        ("slope=nan", r"must be slope= and a finite number$"),
        ("width=1,width=2", r"width=2: the option width of the network n is there twice$"),
    ],
)
def test_options_that_are_not_possible(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--model-options .*{message}"):
        parse_options(Declared, text, "n")


def test_built_in_networks_have_no_options() -> None:
    with pytest.raises(ConfigError, match=r"the network fcn has no option 'width'; its options: none$"):
        parse_options(FCN, "width=3", "fcn")


def test_training_defaults() -> None:
    class Own(Network):
        defaults = {"lr": 0.003, "schedule": "cosine", "batch_size": 8}  # noqa: RUF012

    assert training_defaults(Own, "n") == {"lr": 0.003, "schedule": "cosine", "batch_size": 8}
    assert training_defaults(FCN, "fcn") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"learning_rate": 1},
            r"its `defaults` name 'learning_rate', which is not a setting that a network can set.*; possible: epochs, passes, lr, ",
        ),
        ({"shedule": "cosine"}, r"its `defaults` name 'shedule', which is not a setting that a network can set \(is it 'schedule'\?\)"),
        ({"labels": "points"}, r"its `defaults` name 'labels', which is not"),
        ({"lr": -1.0}, r"its `defaults` are not valid: --lr -1\.0 is not possible; it must be a number above 0$"),
        ({"lr": "fast"}, r"its `defaults` are not valid: "),
    ],
)
def test_training_defaults_that_are_not_possible(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^network n: {message}"):
        training_defaults(type("Own", (Network,), {"defaults": values}), "n")
