"""The parts of the reference that follow from the code: commands, keys of a study, arrays and attributes of a store, metrics.json.

Each function gives Markdown. Store and metrics are read from those that the tutorial has made (`make docs` runs it first).
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cropcam.cli import _parser
from cropcam.pipeline.errors import CropcamError
from cropcam.pipeline.study.section import Section
from cropcam.pipeline.study.study import Study

MADE = Path(__file__).parents[2] / "build" / "docs-run" / "tutorial"  # by site_blocks
_SHOWN = 60  # characters of an example value


def commands() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    return "\n".join(_command(name, parser) for name, parser in command_parsers().items())


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name."""
    found = next(action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
    return dict(found)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    os.environ["COLUMNS"] = "84"
    usage = re.sub(r"^usage: ", "", parser.format_usage().rstrip())
    lines = [f"## {name}", "", _escaped(parser.description or ""), "", "```text", usage, "```", ""]
    lines += ["| argument or option | meaning |", "|---|---|"]
    for group in parser._action_groups:
        actions = [
            action for action in group._group_actions if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
        ]
        if actions and group.title not in {"positional arguments", "options"}:
            lines.append(f"| **{group.title}** | |")
        lines += [f"| {_spelled(action)} | {_meaning(action, parser)} |" for action in actions]
    return "\n".join([*lines, ""])


def _spelled(action: argparse.Action) -> str:
    value = argparse.HelpFormatter("")._format_args(action, action.metavar or action.dest.upper()) if action.nargs != 0 else ""  # type: ignore[arg-type]
    if action.choices and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    return ", ".join(f"`{_cell(f'{flag} {value}'.strip())}`" for flag in action.option_strings or [""])


def _meaning(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = (action.help or "") % {**vars(action), "prog": parser.prog} if action.help else ""
    return _cell(_escaped(text)) + (" (needed)" if action.option_strings and action.required else "")


def study_keys() -> str:
    """Every key of a study file: type, default and valid range of the models that read it."""
    lines = ["| key | type | default |", "|---|---|---|"]
    for section, field in Study.model_fields.items():
        model = next((kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, Section)), None)
        keys = {f"{section}.{name}": item for name, item in model.model_fields.items()} if model else {section: field}
        lines += [f"| `{name}` | {_cell(_type(item))} | {_default(name, item)} |" for name, item in keys.items()]
    return "\n".join(lines)


def _kinds(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type
    return getattr(annotation, "__args__", None) or (annotation,)


def _type(item: FieldInfo) -> str:
    words = re.sub(r"(typing|cropcam[\w.]*)\.|<class '(\w+)'>", r"\2", str(item.annotation))
    words = re.sub(r"Literal\[(.*)\]", lambda found: "one of " + found[1].replace("'", '"'), words)
    words = re.sub(r"Annotated\[(\w+), [^\]]*\]\)?\]", r"\1", words).replace(" | None", "").replace("Union", "")
    names = {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
        "tuple": "list",
        "dict": "table",
        "Any": "any",
    }
    words = re.sub(r"\b(str|int|float|bool|tuple|dict|Any)\b", lambda found: names[found[1]], words).replace(", ...", "")
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "length at least"}
    ranges = [f"{signs[name]} {value}" for rule in item.metadata for name in signs if (value := getattr(rule, name, None)) is not None]
    return ", ".join([f"`{words}`", *ranges])


def _default(name: str, item: FieldInfo) -> str:
    if name in {"image.collections", "image.bands", "image.mask"}:
        return "the sensor's"
    if item.default is PydanticUndefined:
        return "none: the key is needed" if item.default_factory is None else "empty"
    if isinstance(item.default, Section):
        return "as below"
    value = [] if item.default in ((), None) else item.default
    return f"`{_cell(json.dumps(value))}`"


def exit_codes() -> str:
    """The exit code of every kind of error."""
    kinds = {error.exit_code: error for error in _errors(CropcamError) if "exit_code" in vars(error)}
    lines = ["| exit code | kind | meaning |", "|---|---|---|"]
    lines += [f"| {code} | `{kind.__name__}` | {_cell((kind.__doc__ or '').splitlines()[0])} |" for code, kind in sorted(kinds.items())]
    return "\n".join(lines)


def _errors(kind: type[CropcamError]) -> Iterator[type[CropcamError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _errors(below)


def store_arrays() -> str:
    """The arrays of the tutorial's store: dimensions, type, shape, zarr chunk and zarr shard."""
    metadata = _json(MADE / "my.zarr" / "zarr.json")["consolidated_metadata"]["metadata"]
    lines = ["| array | dimensions | type | shape | zarr shard | zarr chunk |", "|---|---|---|---|---|---|"]
    for name, array in sorted(metadata.items()):
        codec = next((codec for codec in array.get("codecs", ()) if codec["name"] == "sharding_indexed"), None)
        outer = array["chunk_grid"]["configuration"]["chunk_shape"]
        inner = codec["configuration"]["chunk_shape"] if codec else outer
        kind = array["data_type"] if isinstance(array["data_type"], str) else array["data_type"]["name"]
        cells = [
            ", ".join(array.get("dimension_names") or ()),
            kind,
            *(_times(each) for each in (array["shape"], outer if codec else [], inner)),
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))


def store_attributes() -> str:
    """The attributes of the tutorial's store."""
    return _tree(_json(MADE / "my.zarr" / "zarr.json")["attributes"], {"study", "codes", "edges", "counts", "digests", "tables"})


def metrics() -> str:
    """The keys of the tutorial's metrics.json."""
    return _tree(_json(MADE / "runs" / "my" / "metrics.json"), {"provenance"})


def _tree(values: Mapping[str, Any], whole: set[str]) -> str:
    lines = ["| key | type | value in the tutorial |", "|---|---|---|"]
    for key, value in _leaves(values, "", whole):
        shown = json.dumps(value, ensure_ascii=False)
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 4] + " ..."
        lines.append(f"| `{key}` | {_json_type(value)} | `{_cell(shown)}` |")
    return "\n".join(lines)


def _leaves(values: Mapping[str, Any], above: str, whole: set[str]) -> Iterator[tuple[str, Any]]:
    """Key and value of every leaf; of entries by class or method the first one stands for all; intervals are left to the page's text."""
    for key, value in values.items():
        if key.endswith("_ci95"):
            continue
        if isinstance(value, Mapping) and value and key not in whole:
            of_names = key in {"per_class", "methods", "class_shares", "cam_auc", "class_pixels"}
            inside = dict([next(iter(value.items()))]) if of_names else value
            yield from _leaves({"NAME" if of_names else name: each for name, each in inside.items()}, f"{above}{key}.", whole)
        else:
            yield f"{above}{key}", value


def _json_type(value: Any) -> str:  # noqa: ANN401 - of JSON
    kinds = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        str: "text",
        list: "list",
        dict: "table",
        type(None): "null or a number",
    }
    return kinds[type(value)]


def _json(path: Path) -> Any:  # noqa: ANN401 - of JSON
    if not path.is_file():
        raise FileNotFoundError(f"{path}: run the pages' code blocks first, as make docs does")
    return json.loads(path.read_text("utf-8"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _escaped(text: str) -> str:
    return re.sub(r"([<>*_])", r"\\\1", text)


PARTS = {
    "commands": commands,
    "study-keys": study_keys,
    "exit-codes": exit_codes,
    "store-arrays": store_arrays,
    "store-attributes": store_attributes,
    "metrics": metrics,
}
