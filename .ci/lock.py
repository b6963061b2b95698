"""Writes requirements.txt and constraints.txt: the version of every package that a development environment holds, and its hashes.

    requirements.txt   all but torch, with the sha256 of every file of that version; no address, so any index that has the files will do
    constraints.txt    torch and what only torch brings on a Linux with CUDA; without hashes, because its builds differ by index

uv reads both as they are and keeps each version that still fits; `--upgrade` takes the newest ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_TORCH = re.compile(r"(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==")
HEADER = "# Written by `make lock`, from pyproject.toml. {}\n"
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


def main() -> None:
    """Lock the project with its extras, the tools of the Makefile, and those of the documentation, which share an environment with the project."""
    options = sys.argv[1:]
    files = {name: ROOT / name for name in ("requirements.txt", "constraints.txt", ".ci/tools.txt", ".ci/docs.txt")}
    texts = {name: path.read_text() if path.exists() else "" for name, path in files.items()}
    entries = compiled(["pyproject.toml", "--extra", "dev"], texts["requirements.txt"] + texts["constraints.txt"], *options)
    of_torch = [re.sub(r" \\\n.*", "", entry, flags=re.DOTALL) for entry in entries if OF_TORCH.match(entry)]
    others = [entry for entry in entries if not OF_TORCH.match(entry)]
    tools = compiled([".ci/tools.in"], texts[".ci/tools.txt"], *options)
    files["requirements.txt"].write_text(HEADER.format("Install with --require-hashes --no-deps, then torch.") + "\n".join(others) + "\n")
    files["constraints.txt"].write_text(
        HEADER.format("What only torch brings has no hashes: its builds differ.") + "\n".join(of_torch) + "\n"
    )
    files[".ci/tools.txt"].write_text(
        HEADER.format("The tools of `make lock`, `make audit`, `make sbom` and `make mutants`.") + "\n".join(tools) + "\n"
    )
    shared = ["--constraint", "requirements.txt", "--constraint", "constraints.txt"]  # as written just now
    docs = compiled([".ci/docs.in"], texts[".ci/docs.txt"], *shared, *options)
    files[".ci/docs.txt"].write_text(HEADER.format("The tools of `make docs`, beside the project's own packages.") + "\n".join(docs) + "\n")


if __name__ == "__main__":
    main()
