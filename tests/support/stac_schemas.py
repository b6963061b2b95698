"""The rules of the STAC extensions that items use, as JSON schemas; and a validator without a network.

pystac's wheel has the core schemas. Those of extensions lie on the web, so their rules for items are written down here: required fields,
types, values and patterns of https://github.com/stac-extensions, in the versions that the addresses name. An unknown field with an
extension's prefix is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pystac
from pystac.validation import JsonSchemaSTACValidator, validate_dict

_TYPES = [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "cint16",
    "cint32",
    "cfloat32",
    "cfloat64",
    "other",
]
_TASKS = [
    "regression",
    "classification",
    "scene-classification",
    "detection",
    "object-detection",
    "segmentation",
    "semantic-segmentation",
    "instance-segmentation",
    "panoptic-segmentation",
    "similarity-search",
    "generative",
    "image-captioning",
    "super-resolution",
]
TEXT, WHOLE, NUMBER = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}, {"type": "number"}
_CLASS = {
    "type": "object",
    "required": ["value", "name"],
    "properties": {
        "value": {"type": "integer"},
        "name": {"type": "string", "pattern": "^[0-9A-Za-z-_]+$"},
        "title": TEXT,
        "description": TEXT,
        "color_hint": {"type": "string", "pattern": "^[0-9A-F]{6}$"},
        "nodata": {"type": "boolean"},
        "percentage": {"type": "number", "minimum": 0, "maximum": 100},
        "count": WHOLE,
    },
    "additionalProperties": False,
}
_CLASSES = {"type": "array", "minItems": 1, "uniqueItems": True, "items": _CLASS}


def _list(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


_EXPRESSION = {"oneOf": [_object({"format": TEXT, "expression": {}}), {"type": "null"}]}
_SHAPED = _object(
    {
        "shape": _list({"type": "integer", "minimum": -1}, minItems=1),
        "dim_order": _list({"type": "string", "pattern": "^[a-z-_]+$"}, minItems=1, uniqueItems=True),
        "data_type": {"enum": _TYPES},
    }
)
_SCALING = {
    "oneOf": [
        _object({"type": {"const": "min-max"}, "minimum": NUMBER, "maximum": NUMBER}),
        _object({"type": {"const": "z-score"}, "mean": NUMBER, "stddev": NUMBER}),
        _object({"type": {"const": "clip"}, "minimum": NUMBER, "maximum": NUMBER}),
    ]
}
_FIELDS: dict[str, dict[str, Any]] = {
    "projection/v2.0.0": {
        "proj:code": {"type": ["string", "null"], "pattern": "^[A-Za-z]+:[0-9A-Za-z_.-]+$"},
        "proj:wkt2": {"type": ["string", "null"]},
        "proj:shape": _list({"type": "integer"}, minItems=2, maxItems=2),
        "proj:transform": _list(NUMBER, minItems=6, maxItems=9),
        "proj:bbox": _list(NUMBER, minItems=4, maxItems=4),
    },
    "raster/v2.0.0": {
        "raster:bits_per_sample": WHOLE,
        "raster:sampling": {"enum": ["area", "point"]},
        "raster:scale": NUMBER,
        "raster:offset": NUMBER,
        "raster:spatial_resolution": NUMBER,
    },
    "classification/v2.0.0": {"classification:classes": _CLASSES},
    "file/v2.1.0": {
        "file:checksum": {"type": "string", "pattern": "^1220[a-f0-9]{64}$"},  # of multihashes that of SHA2-256
        "file:size": WHOLE,
    },
    "processing/v1.2.0": {
        "processing:level": {"type": "string", "pattern": "^(RAW|L[0-4][A-C]?)$"},
        "processing:lineage": TEXT,
        "processing:software": {"type": "object", "minProperties": 1, "additionalProperties": TEXT},
    },
    "mlm/v1.4.0": {
        "mlm:name": {"type": "string", "pattern": r"^[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]$"},
        "mlm:architecture": TEXT,
        "mlm:tasks": _list({"enum": _TASKS}, uniqueItems=True),
        "mlm:framework": TEXT,
        "mlm:framework_version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"},
        "mlm:total_parameters": WHOLE,
        "mlm:pretrained": {"type": "boolean"},
        "mlm:pretrained_source": {"type": ["string", "null"]},
        "mlm:batch_size_suggestion": WHOLE,
        "mlm:artifact_type": TEXT,
        "mlm:hyperparameters": {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {"^[0-9a-zA-Z_.-]+$": {}},
            "additionalProperties": False,
        },
        "mlm:input": _list(
            _object(
                {"name": TEXT, "bands": _list(TEXT), "input": _SHAPED},
                description=TEXT,
                value_scaling={"oneOf": [{"type": "null"}, _list(_SCALING, minItems=1)]},
                resize_type={"type": ["string", "null"]},
                pre_processing_function=_EXPRESSION,
            )
        ),
        "mlm:output": _list(
            _object(
                {"name": TEXT, "tasks": _list({"enum": _TASKS}, uniqueItems=True), "result": _SHAPED},
                description=TEXT,
                post_processing_function=_EXPRESSION,
                **{"classification:classes": _CLASSES},
            )
        ),
    },
}
_MODEL_ASSET = {"properties": {"roles": {"contains": {"const": "mlm:model"}}}, "required": ["roles", "mlm:artifact_type"]}
_ITEM_RULES: dict[str, list[dict[str, Any]]] = {
    "mlm/v1.4.0": [
        {"properties": {"properties": {"required": ["mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output", "bands"]}}},
        {"properties": {"assets": {"not": {"additionalProperties": {"not": _MODEL_ASSET}}}}},  # at least one asset is the model
    ]
}


def schema_uri(name: str) -> str:
    """The address of an extension, from its name and version."""
    return f"https://stac-extensions.github.io/{name}/schema.json"


def schema(name: str) -> dict[str, Any]:
    """The rules of an extension for an item: its properties, its assets, their bands and its links."""
    prefix, fields = next(iter(_FIELDS[name])).partition(":")[0], _FIELDS[name]
    known = {"type": "object", "properties": fields, "patternProperties": {f"^(?!{re.escape(prefix)}:)": {}}, "additionalProperties": False}
    banded = {"allOf": [known, {"properties": {"bands": _list(known)}}]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": schema_uri(name),
        "type": "object",
        "required": ["type", "stac_extensions", "properties", "assets"],
        "properties": {
            "type": {"const": "Feature"},
            "stac_extensions": {"type": "array", "contains": {"const": schema_uri(name)}},
            "properties": banded,
            "assets": {"type": "object", "additionalProperties": banded},
            "links": _list(known),
        },
        "allOf": _ITEM_RULES.get(name, [{}]),
    }


class _Offline(JsonSchemaSTACValidator):
    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        return self.schema_cache[schema_uri]  # another address is an error, not a request


def validate(item: Mapping[str, Any]) -> list[str]:
    """Validate an item against the core schemas of pystac and those of its extensions; the addresses of the schemas.

    Raises:
        pystac.errors.STACValidationError: names the field.
        KeyError: an extension is not written down here.
    """
    validator = _Offline()
    validator.schema_cache |= {schema_uri(name): schema(name) for name in _FIELDS}
    return validate_dict(dict(item), pystac.STACObjectType.ITEM, extensions=list(item["stac_extensions"]), validator=validator)
