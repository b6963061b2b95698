"""The studies that come with cropcam, one TOML file each; the file's stem is the preset's name, its first line, a comment, the title."""

from __future__ import annotations

from importlib import resources


def names() -> tuple[str, ...]:
    """Names of the presets, in order."""
    return tuple(sorted(item.name.removesuffix(".toml") for item in resources.files(__name__).iterdir() if item.name.endswith(".toml")))


def title(name: str) -> str:
    """One sentence about a preset."""
    return resources.files(__name__).joinpath(f"{name}.toml").read_text("utf-8").splitlines()[0].removeprefix("#").strip()
