"""The values of this package's constants."""

from __future__ import annotations

from support.pinned import pinned

test_the_value_is_the_documented_one = pinned(
    "cropcam.pipeline.store",
    {
        "schema.SCHEMA_VERSION": 2,
        "schema.BLOCK_PATCHES": 32,
        "schema.BLOCK_BYTES": 134_217_728,
        "schema.SPLITS": ("train", "validation", "test"),
        "schema.REASONS": ("kept", "image", "label", "gap"),
        "schema.MOST_PCT": 100,
        "schema.NOT_USED": 255,
        "schema.NOT_MEASURED": 255,
    },
)
