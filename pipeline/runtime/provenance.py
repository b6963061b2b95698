"""The fields of provenance that all artefacts share."""

from __future__ import annotations

from cropcam.pipeline import __version__


def provenance(study: str, **digests: str) -> dict[str, str]:
    """Study, cropcam version and digests of the inputs of an artefact; the artefact adds its own fields.

    >>> sorted(provenance("demo", store_digest="ab"))
    ['code_version', 'store_digest', 'study']

    Args:
        study: name of the study.
        digests: digest of each input, under the name of its field.
    """
    return {"study": study, **digests, "code_version": __version__}
