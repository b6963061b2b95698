"""Networks by name: built in, of installed packages, any class; one line where one cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cropcam.model.networks import build, network_class
from cropcam.model.networks.fcn import FCN
from cropcam.model.networks.registry import package_of
from cropcam.pipeline.errors import ConfigError
from support.packages import SMALL, install


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install(monkeypatch, tmp_path / "small", "smallnets", networks={"small": "smallnets:Small", "fcn": "smallnets:Small"})


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["small", "smallnets:Small"])
def test_a_network_of_a_package_is_built_by_name_and_by_class(name: str) -> None:
    network = build(name, 3, 4, "width=6")
    assert (type(network).__name__, network.stride, network.dense.weight.shape) == ("Small", 2, (4, 6))
    assert network(torch.zeros(2, 3, 8, 8)).maps_BFhw.shape == (2, 6, 4, 4)
    assert package_of(name) == "smallnets-nets==1.2"


@pytest.mark.usefixtures("small")
def test_a_built_in_name_wins() -> None:
    assert network_class("fcn") is FCN
    assert package_of("fcn") == ""


@pytest.mark.usefixtures("small")
def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    match = r"^no network 'smal'; known: baseline, resnet50, unet, fcn, fcn-time, linear, trees, small; or name a class as package\.module:Class$"
    with pytest.raises(ConfigError, match=match):
        network_class("smal")
    with pytest.raises(ConfigError, match=r"^no network 'gone'; known: .*; it was of gone-nets==3\.1: pip install gone-nets==3\.1$"):
        network_class("gone", "gone-nets==3.1")


@pytest.mark.usefixtures("small")
def test_one_name_in_two_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "other", "othernets", networks={"small": "othernets:Small"})
    match = (
        r"^network 'small' is of othernets-nets 1\.2 and smallnets-nets 1\.2; "
        r"name one of the classes: --model othernets:Small or smallnets:Small$"
    )
    with pytest.raises(ConfigError, match=match):
        network_class("small")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.nets:Small", r"there is no module 'nowhere'; install the package that has it, or put its folder on PYTHONPATH$"),
        ("smallnets.deep:Small", r"there is no module 'smallnets\.deep'; install"),
        ("smallnets:Smal", r"the module smallnets has no Smal; its networks: Small$"),
        ("smallnets:nn", r"nn is not a subclass of cropcam\.model\.networks\.Network \(docs/networks\.md has the contract\)$"),
        ("smallnets:nn.Linear", r"nn\.Linear is not a subclass"),
        ("small/nets.py:Small", r"name a class as package\.module:Class$"),
        ("smallnets:", r"name a class as package\.module:Class$"),
        (".nets:Small", r"name a class as package\.module:Class$"),
        ("os:system", r"system is not a subclass"),
        ("math:Net", r"the module math has no Net; its networks: none$"),
    ],
)
def test_a_class_that_cannot_be_had(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^network {name}: .*{message}"):
        network_class(name)


def test_a_module_that_is_gone_is_named_with_its_package() -> None:
    with pytest.raises(ConfigError, match=r"^network gone:Net: there is no module 'gone'; pip install gone-nets==3\.1, or put its folder"):
        network_class("gone:Net", "gone-nets==3.1")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('no\\nlicence')", r"RuntimeError: no \(.*broken\.py, line 1\)"),
        ("import timmm", r"ModuleNotFoundError: No module named 'timmm' \(.*broken\.py, line 1\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \(.*broken\.py, line 1\)"),
        ("def (", r"SyntaxError: invalid syntax \(broken\.py, line 1\)"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(.*broken\.py, line 1\)"),
    ],
)
def test_an_entry_point_that_raises_on_import_is_named(code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, "broken", code, {"bad": "broken:Net"})
    where = r"network 'bad' of broken-nets 1\.2 \(broken:Net\): importing broken raised"
    with pytest.raises(ConfigError, match=rf"^{where} {message}; mend, update or uninstall the package$") as caught:
        network_class("bad")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None, "--debug shows the traceback of the package"


def test_a_broken_package_does_not_disturb_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "a", "broken", "1 / 0", {"bad": "broken:Net"})
    install(monkeypatch, tmp_path / "b", "smallnets", networks={"small": "smallnets:Small"})
    assert network_class("small").__name__ == "Small"
    with pytest.raises(ConfigError, match=r"known: baseline, resnet50, unet, fcn, fcn-time, linear, trees, bad, small;"):
        network_class("other")


def test_a_constructor_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, "wrong", SMALL.replace("bands, classes, *, width: int = 4", "bands, *, width: int = 4"))
    match = (
        r"^network wrong:Small: Small\(3, 4, width=2\) raised TypeError: .*; it has to take bands and classes, then keywords with defaults"
    )
    with pytest.raises(ConfigError, match=match):
        build("wrong:Small", 3, 4, "width=2")


def test_the_base_class_is_no_network() -> None:
    with pytest.raises(ConfigError, match=r"^network cropcam\.model\.networks:Network: Network\(3, 4\) raised TypeError"):
        build("cropcam.model.networks:Network", 3, 4)


def test_a_class_without_its_parts_is_refused_when_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, "wrong", SMALL.replace("self.dense", "self.head"))
    match = r"^network wrong:Small: its `dense` is missing; it must be nn\.Linear\(features, 4\) with a bias"
    with pytest.raises(ConfigError, match=match):
        build("wrong:Small", 3, 4)
