"""The locked packages: exact, with hashes, without an address, allowed by the bounds and the licences."""

from __future__ import annotations

import re
import runpy
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cropcam.pipeline.extras import EXTRAS
from support.bare import brought, project

ROOT = Path(__file__).parents[2]
OURS = ("requirements.txt", "requirements-dev.txt")  # what `make demo` installs; what developers need beside it
LOCKS = (*OURS, ".ci/tools.txt", ".ci/docs.txt")
AUDIT = runpy.run_path(str(ROOT / ".ci/audit.py"))


def entries(name: str) -> list[str]:
    return re.findall(r"^[a-z0-9].*(?:\n    .*)*", (ROOT / name).read_text(), re.MULTILINE)


def versions() -> dict[str, str]:
    found = [entry.partition(" ")[0].split("==") for name in (*OURS, "constraints.txt") for entry in entries(name)]
    return {name: version for name, version in found}  # noqa: C416 - pairs of two alone


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    found = entries(name)
    assert len(found) > 20
    for entry in found:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry[:200]


def test_the_tools_of_the_documentation_share_their_versions_with_the_project() -> None:
    shared = {tuple(entry.partition(" ")[0].split("==")) for entry in entries(".ci/docs.txt") if entry.partition("==")[0] in versions()}
    assert len(shared) > 10
    assert not shared - set(versions().items())


@pytest.mark.parametrize("name", [*LOCKS, "constraints.txt"])
def test_no_lock_has_an_address(name: str) -> None:
    assert not re.search(r"://|file:|index|find-links|/[a-z]+/[a-z]+/", (ROOT / name).read_text())


def test_torch_alone_and_what_it_brings_has_no_hashes() -> None:
    found = entries("constraints.txt")
    assert all(re.match(r"(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==[\w.]+( ; [^\\\n]+)?$", entry) for entry in found)
    assert [entry for entry in found if entry.startswith("torch==")]
    assert not [entry for name in OURS for entry in entries(name) if entry.startswith(("torch==", "nvidia-", "triton=="))]


def test_the_demo_installs_what_a_user_needs_and_nothing_twice() -> None:
    users, developers = ({entry.partition("==")[0] for entry in entries(name)} for name in OURS)
    needed = brought([*project()["dependencies"], *project()["optional-dependencies"]["earthengine"]])
    needed |= brought([*project()["optional-dependencies"]["report"], *project()["optional-dependencies"]["view"]])
    of_torch = {entry.partition("==")[0] for entry in entries("constraints.txt")}
    assert needed - of_torch <= users
    assert {"setuptools"} <= users
    assert {"pytest", "ruff", "mypy", "lightgbm", "onnx", "scipy"} <= developers
    assert not users & developers


def test_the_extras_are_those_that_the_messages_name() -> None:
    declared = project()["optional-dependencies"]
    assert declared["all"] == [f"cropcam[{','.join(sorted(EXTRAS))}]"]
    assert set(declared) == {*EXTRAS, "all", "dev"}
    for extra, packages in EXTRAS.items():
        assert {canonicalize_name(Requirement(text).name) for text in declared[extra]} == set(packages.values())


def test_the_locked_versions_are_within_the_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(line for lines in project["project"]["optional-dependencies"].values() for line in lines),
    ]
    locked = versions()
    for requirement in map(Requirement, [*wanted, *project["build-system"]["requires"]]):
        if requirement.name != "cropcam":
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


def test_no_licence_is_unknown_or_asks_for_more_than_its_own_files() -> None:
    of_torch = {entry.partition("==")[0] for entry in entries("constraints.txt")}  # CUDA's libraries have a licence of their own
    found = {item.name: AUDIT["licence"](item) for item in distributions() if canonicalize_name(item.name) not in of_torch}
    assert not {name: text for name, text in found.items() if re.search(r"\bA?GPL|not stated|propriet", text, re.IGNORECASE)}
    assert {name for name, text in found.items() if re.search("MPL|Mozilla", text)} <= {"certifi", "hypothesis", "pathspec"}


@pytest.mark.parametrize(
    ("version", "events", "is_in"),
    [
        ("3.1.6", [{"introduced": "0"}, {"fixed": "3.2"}], True),
        ("3.2", [{"introduced": "0"}, {"fixed": "3.2"}], False),
        ("3.2", [{"introduced": "0"}, {"last_affected": "3.2"}], True),
        ("3.10", [{"introduced": "3.2"}], True),
        ("3.1", [{"introduced": "3.2"}], False),
        ("5.1", [{"introduced": "0"}, {"fixed": "4"}, {"introduced": "5"}, {"fixed": "5.2"}], True),
        ("4.5", [{"introduced": "0"}, {"fixed": "4"}, {"introduced": "5"}, {"fixed": "5.2"}], False),
    ],
)
def test_an_advisory_is_about_a_range_of_versions(version: str, events: list[dict[str, str]], is_in: bool) -> None:
    entry: dict[str, Any] = {
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Some_Package"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    }
    assert list(AUDIT["affected"](entry, {"some-package": version})) == (["some-package"] if is_in else [])
