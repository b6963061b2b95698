"""docs/json.md and docs/json.schema.json, made from `cropcam.model.documents`. `python tests/support/json_page.py` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cropcam.model.documents import DOCUMENTS, Failure, schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE, SCHEMA = DOCS / "json.md", DOCS / "json.schema.json"
HEAD = """# JSON output

Every command that ends with figures or files takes `--json`. Stdout then holds exactly one JSON object and nothing else.
Progress, warnings and errors stay on stderr; `-q` silences the progress.

```
cropcam patches demo --from shards --store demo.zarr --json -q | jq .patches.kept
```

A command that fails prints one line on stderr, as without `--json`, and an object with `error` and `exit_code` on stdout.
`check` prints its own object also where the store has problems, and ends with 3.
`tasks` ends with 5 while tasks wait or run, and with 4 where one has failed; its object is the same.

[json.schema.json](json.schema.json) is the JSON Schema of all objects. Keys may be added in later versions; those here stay.
`emulate`, `view` and `completion` have no `--json`: they print an address or a script.

<!-- made by tests/support/json_page.py from model/documents.py -->
"""


def page() -> str:
    """The page: one table for each object."""
    parts = [HEAD, *_section("Failure", Failure)]
    for command, kinds in DOCUMENTS.items():
        for kind in kinds:
            parts += _section(command, kind)
    return "\n".join(parts).rstrip() + "\n"


def schemas() -> str:
    """The JSON Schema of all objects, under the names of their types."""
    definitions: dict[str, Any] = {}
    for kind in [Failure, *(kind for kinds in DOCUMENTS.values() for kind in kinds)]:
        own = schema(kind)
        definitions |= own.pop("$defs", {})
        definitions[kind.__name__] = own
    commands = {name: [f"#/$defs/{kind.__name__}" for kind in kinds] for name, kinds in DOCUMENTS.items()}
    refs = [{"$ref": ref} for ref in dict.fromkeys(ref for each in commands.values() for ref in each)]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Objects of cropcam --json",
        "anyOf": [*refs, {"$ref": "#/$defs/Failure"}],
        "x-commands": commands,
        "$defs": dict(sorted(definitions.items())),
    }
    return json.dumps(whole, indent=1) + "\n"


def _section(title: str, kind: Any) -> list[str]:
    whole = schema(kind)
    lines = [
        f"## {title if title == 'Failure' else f'`{title}`'}",
        "",
        whole.get("description", "").strip(),
        "",
        "| key | type | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{key}` | {of_type} | {meaning} |" for key, of_type, meaning in _rows(whole, whole.get("$defs", {}), "")]
    return [*lines, ""]


def _rows(part: Mapping[str, Any], definitions: Mapping[str, Any], before: str) -> Iterator[tuple[str, str, str]]:
    for name, about in part.get("properties", {}).items():
        needed = name in part.get("required", ())
        meaning = about.get("description", "")
        inner, of_type = _type(about, definitions)
        yield f"{before}{name}", of_type if needed else f"{of_type}, may be absent", meaning
        if inner is not None:
            yield from _rows(inner, definitions, f"{before}{name}{'[]' if of_type.startswith('list') else ''}.")


def _type(about: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The object inside, if any, and the type in words."""
    if "$ref" in about:
        return definitions[about["$ref"].rsplit("/", 1)[1]], "object"
    if "anyOf" in about:
        found = [_type(each, definitions) for each in about["anyOf"]]
        return next((inner for inner, _ in found if inner is not None), None), " or ".join(words for _, words in found)
    if "enum" in about:
        return None, ", ".join(f'"{value}"' for value in about["enum"])
    if about.get("type") == "array":
        inner, words = _type(about.get("items", {}), definitions)
        return inner, f"list of {words}"
    if about.get("type") == "object":
        values = about.get("additionalProperties")
        return None, f"object of {_type(values, definitions)[1]}" if isinstance(values, Mapping) and values else "object"
    return None, {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}.get(
        about.get("type", ""), str(about.get("type", "any"))
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    SCHEMA.write_text(schemas(), "utf-8")
