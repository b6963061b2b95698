"""The installed bytes of the environment of this Python: each package and all, without torch, what only torch brings, and pip.

    python3 -m venv bare && bare/bin/pip install torch==2.13.0 && bare/bin/pip install . && bare/bin/python .ci/bytes.py

Files are those of the packages' records, compiled ones left out.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions

OF_TORCH = re.compile(r"torch|triton|nvidia-.*|cuda-.*|filelock|mpmath|networkx|sympy")  # filelock and the rest: nothing else needs them
LEFT_OUT = re.compile(r"pip|setuptools|cropcam")


def size(package: Distribution) -> int:
    """Bytes of a package's files."""
    paths = (package.locate_file(file) for file in package.files or () if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.exists())  # type: ignore[attr-defined]


def main() -> None:
    """List the packages, the largest first."""
    names = {item.name.lower().replace("_", "-"): item for item in distributions()}
    sizes = {name: size(item) for name, item in names.items() if not OF_TORCH.fullmatch(name) and not LEFT_OUT.fullmatch(name)}
    for name, count in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{name:32} {count / 1e6:8.2f} MB")
    print(f"{len(sizes)} packages, {sum(sizes.values()) / 1e6:.0f} MB without torch and what only torch brings")


if __name__ == "__main__":
    main()
