"""Writes the locked packages: the version of every package that an environment of the Makefile holds, and its hashes.

    requirements.txt       what `make demo` needs, with the sha256 of every file of that version; no address, so any index that has the files will do
    requirements-dev.txt   what developers need beside it, in the same way
    constraints.txt        torch and what only torch brings on a Linux with CUDA; without hashes, because its builds differ by index

uv reads both as they are and keeps each version that still fits; `--upgrade` takes the newest ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_A_USER = ("earthengine", "report", "view")  # the extras of requirements.txt
OF_TORCH = re.compile(r"(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==")
HEADERS = {
    "requirements.txt": "Install with --require-hashes --no-deps, then torch.",
    "requirements-dev.txt": "What developers need beside requirements.txt; install with --require-hashes --no-deps.",
    "constraints.txt": "What only torch brings has no hashes: its builds differ.",
    ".ci/tools.txt": "The tools of `make lock`, `make audit`, `make sbom` and `make mutants`.",
    ".ci/docs.txt": "The tools of `make docs`, beside the project's own packages.",
}
_EVERYWHERE = (
    "python_full_version < '3.15'",
    "(sys_platform == 'darwin' or sys_platform == 'linux')",
)  # [tool.uv] environments in a marker's words
_UNIVERSAL = [
    "--universal",
    "--python-version",
    "3.11",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--quiet",
]


def compiled(source: list[str], kept: str, *options: str) -> list[str]:
    """The entries of a lock, each with its hashes; `kept` are the versions to stay with."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "locked.txt")
        out.write_text(kept)
        command = [sys.executable, "-m", "uv", "pip", "compile", *source, *_UNIVERSAL, "--generate-hashes", "-o", str(out), *options]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        text = out.read_text()
    for marker in _EVERYWHERE:  # where it does not hold an installation fails, and does not leave out everything
        text = text.replace(f" and {marker}", "").replace(f"{marker} and ", "").replace(f" ; {marker}", "")
    return re.findall(r"^[a-z0-9].*(?:\n    .*)*", text, re.MULTILINE)


def name_of(entry: str) -> str:
    """The package of an entry of a lock."""
    return entry.partition("==")[0]


def write(name: str, lines: list[str]) -> None:
    """Write a lock with its heading."""
    (ROOT / name).write_text(f"# Written by `make lock`, from pyproject.toml. {HEADERS[name]}\n" + "\n".join(lines) + "\n")


def main() -> None:
    """Lock the project with its extras, the tools of the Makefile, and those of the documentation, which share an environment with the project."""
    options = sys.argv[1:]
    texts = {name: path.read_text() if (path := ROOT / name).exists() else "" for name in HEADERS}
    kept = texts["requirements.txt"] + texts["requirements-dev.txt"] + texts["constraints.txt"]
    entries = compiled(["pyproject.toml", "--extra", "dev"], kept, *options)
    users = {
        name_of(entry)
        for entry in compiled(["pyproject.toml", *(word for extra in OF_A_USER for word in ("--extra", extra))], "\n".join(entries))
    }
    builders = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    users |= {
        re.split(r"[^\w.-]", requirement)[0] for requirement in builders
    }  # pip builds the package itself without an environment of its own
    others = [entry for entry in entries if not OF_TORCH.match(entry)]
    found = {
        "requirements.txt": [entry for entry in others if name_of(entry) in users],
        "requirements-dev.txt": [entry for entry in others if name_of(entry) not in users],
        "constraints.txt": [re.sub(r" \\\n.*", "", entry, flags=re.DOTALL) for entry in entries if OF_TORCH.match(entry)],
        ".ci/tools.txt": compiled([".ci/tools.in"], texts[".ci/tools.txt"], *options),
    }
    for name, lines in found.items():
        write(name, lines)
    shared = [word for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt") for word in ("--constraint", name)]
    write(".ci/docs.txt", compiled([".ci/docs.in"], texts[".ci/docs.txt"], *shared, *options))


if __name__ == "__main__":
    main()
