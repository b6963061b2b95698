"""Provenance: the fields that all artefacts share."""

from __future__ import annotations

from cropcam.pipeline import __version__
from cropcam.pipeline.runtime.provenance import provenance


def test_provenance_has_study_version_and_digests() -> None:
    assert provenance("demo", store_digest="ab", checkpoint_digest="cd") == {
        "study": "demo",
        "store_digest": "ab",
        "checkpoint_digest": "cd",
        "code_version": __version__,
    }
