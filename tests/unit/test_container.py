"""The container file: what can be known without building it. It installs as the Makefile does, runs as nobody in particular, and takes what is installed."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from cropcam.cli import _parser
from support.bare import project

ROOT = Path(__file__).parents[2]


def steps() -> list[tuple[str, str]]:
    """The instructions and their texts, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line]


def installs(text: str) -> list[str]:
    """The options of each installation by pip, without those that are about the place alone."""
    lines = [
        line.rpartition("pip install ")[2] for line in text.replace("$(PIP)", "python -m pip install").splitlines() if "pip install" in line
    ]
    about_place = r"--quiet|--disable-pip-version-check|--no-compile|--editable|\$\{TORCH_INDEX[^}]*\}"
    return [" ".join(re.sub(about_place, "", line).split()) for line in lines]


def test_it_installs_as_the_makefile_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile[makefile.index("$(READY):") : makefile.index("$(DEV):")]
    ours = installs("\n".join(text for kind, text in steps() if kind == "RUN"))
    assert ours == installs(recipe)
    assert len(ours) == 3


def test_the_base_is_pinned_by_a_tag_that_the_project_supports() -> None:
    (base,) = (text for kind, text in steps() if kind == "FROM")
    found = re.fullmatch(r"python:3\.(\d+)-slim-[a-z]+", base)
    assert found
    assert int(found[1]) >= int(project()["requires-python"].removeprefix(">=3."))


def test_it_runs_the_demo_without_rights() -> None:
    parts = steps()
    names = [kind for kind, _ in parts]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")
    assert dict(parts)["USER"] not in ("root", "0")
    words = json.loads(dict(parts)["ENTRYPOINT"]) + json.loads(dict(parts)["CMD"])
    assert words[0] in project()["scripts"]
    assert _parser().parse_args(words[1:]).out == Path("demo")


def test_what_is_installed_is_taken_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    assert all((ROOT / name).exists() for name in taken)
    sources = {path.name for path in ROOT.glob("*.py")} | {
        "model",
        "pipeline",
        "pyproject.toml",
        project()["readme"],
        *project()["license-files"],
    }
    assert sources <= taken
    copied = " ".join(text for kind, text in steps() if kind == "COPY").split()
    assert all(name in taken or name in (".", "./") for name in copied)
    assert not [name for name in (".venv", "demo", "tests", ".git") if any(fnmatch(name, pattern) for pattern in taken)]
