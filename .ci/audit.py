"""Every package of this environment with its version and licence, and the advisories that it is affected by. Exit 1 with an advisory.

`--advisories FOLDER` is a copy of an OSV database: JSON files anywhere below it, as https://ossf.github.io/osv-schema/ describes them. Nothing
is downloaded. Without it the list alone is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

_WORDS = {"MIT License": "MIT", "Apache Software License": "Apache-2.0", "BSD License": "BSD", "ISC License (ISCL)": "ISC"}


def licence(package: Distribution) -> str:
    """The licence as the package's metadata have it, else the first line of its text."""
    about = package.metadata
    classified = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    named = [_WORDS.get(text, text) for text in classified if text != "OSI Approved"]
    own = about.get("License-Expression") or (about.get("License") or "").strip()
    if own and "\n" not in own and len(own) < 80 and own.upper() != "UNKNOWN":
        return own
    if named:
        return " and ".join(dict.fromkeys(named))
    texts = [file.read_text(encoding="utf-8").strip() for file in package.files or () if file.name.upper().startswith(("LICEN", "COPYING"))]
    return next((text.splitlines()[0].strip()[:60] for text in (own, *texts) if text), "not stated")


def affected(entry: dict[str, Any], versions: dict[str, str]) -> Iterator[str]:
    """The packages that an advisory is about, in the version that is installed."""
    for part in entry.get("affected", []):
        name = canonicalize_name(part.get("package", {}).get("name", ""))
        if part.get("package", {}).get("ecosystem") != "PyPI" or name not in versions:
            continue
        found = versions[name]
        if found in part.get("versions", []) or any(
            within(found, span["events"]) for span in part.get("ranges", []) if span.get("type") == "ECOSYSTEM"
        ):
            yield name


def within(version: str, events: list[dict[str, str]]) -> bool:
    """Whether a version lies in a range of an advisory: introduced, then fixed or last affected."""
    is_in = False
    for event in events:
        (kind, text), own = next(iter(event.items())), Version(version)
        edge = Version("0" if text == "0" else text)
        if kind == "introduced":
            is_in = is_in or own >= edge
        elif kind == "fixed":
            is_in = is_in and own < edge
        elif kind == "last_affected":
            is_in = is_in and own <= edge
    return is_in


def main() -> int:
    """List the packages; with advisories those that are affected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--advisories", type=Path)
    folder = parser.parse_args().advisories
    packages = {canonicalize_name(item.name): item for item in distributions()}
    for name, item in sorted(packages.items()):
        print(f"{name:32} {item.version:16} {licence(item)}")
    if folder is None:
        print(f"{len(packages)} packages; no advisories were looked at: give a copy of them with ADVISORIES=FOLDER")
        return 0
    versions = {name: item.version.partition("+")[0] for name, item in packages.items()}
    entries = [json.loads(path.read_bytes()) for path in sorted(folder.rglob("*.json"))]
    found = [(name, entry) for entry in entries if not entry.get("withdrawn") for name in affected(entry, versions)]
    for name, entry in found:
        print(f"{name} {versions[name]}: {entry['id']}: {entry.get('summary', '')}")
    print(f"{len(packages)} packages, {len(entries)} advisories, {len(found)} of them affect an installed version")
    return 1 if found or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
