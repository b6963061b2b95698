"""What is wrong with a study: every problem with its key, its place and what the key takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pydantic_core import ErrorDetails

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.forms import FORMS, form_of, sections
from cropcam.pipeline.study.section import ProblemsError, Section, shown
from cropcam.pipeline.study.source import CHANGED, EXTENDS
from cropcam.pipeline.suggestions import nearest

MOST_SHOWN = 20
MOST_LETTERS = 60  # of a text of the study in a message
Place = Callable[[Sequence[str | int]], tuple[str, int]]
_NEEDED = {"study": "name", "area": "bounds", "image": "seasons"}  # what has no default
_OPEN = ("image.derived", "labels.filter")  # keys whose own keys are the user's


class Problem(NamedTuple):
    """One problem: the key to which it belongs (empty: of the whole study), and what is wrong with it."""

    key: tuple[str, ...]
    text: str


def find_problems(study: type[Section], details: Iterable[ErrorDetails]) -> list[Problem]:
    """The problems behind errors of pydantic, one for each key and cause; texts are our own."""
    found: dict[Problem, None] = {}
    told = set()
    for detail in details:
        key = _key(detail["loc"])
        for problem in _of(study, key, detail):
            is_own = detail["type"] in ("value_error", "extra_forbidden")
            if is_own or key not in told:  # of a union each branch complains, of a list each item
                found[problem] = None
            told.add(key)
    return list(found)


def refusal(problems: Sequence[Problem], source: str, place: Place | None = None) -> ConfigError:
    """The error that names all problems; `place` gives the file and line of a key, the line 0 where it is not known."""
    lines = [_line(problem, source, place) for problem in problems]
    ordered = [line for _, line in sorted(lines, key=lambda each: each[0])]  # as they stand in the file
    if len(ordered) == 1:
        return ConfigError(_alone(problems[0], source, place))
    more = [f"and {len(ordered) - MOST_SHOWN} more"] if len(ordered) > MOST_SHOWN else []
    return ConfigError(f"{source}: {len(ordered)} problems", ordered[:MOST_SHOWN] + more)


def _alone(problem: Problem, source: str, place: Place | None) -> str:
    name, line = place(problem.key) if place else (source, 0)
    if name == CHANGED:
        return f"{CHANGED}: {problem.text}"
    return f"{name}{f', line {line}' if line else ''}: {problem.text}"


def _line(problem: Problem, source: str, place: Place | None) -> tuple[tuple[bool, str, int], str]:
    """The line of one of several problems under a heading that names the source, and where it comes."""
    name, line = place(problem.key) if place else (source, 0)
    order = name != source, name, line
    if name == CHANGED:
        return order, f"{CHANGED}: {problem.text}"
    where = ", ".join([*([name] if name != source else []), *([f"line {line}"] if line else [])])
    return order, f"{where}: {problem.text}" if where else problem.text


def _key(loc: Sequence[str | int]) -> tuple[str, ...]:
    """The key in the place of an error: without the numbers of items and the names of types."""
    names = [part for part in loc if isinstance(part, str)]
    if names[:1] in (["classes"], ["colours"]):
        return tuple(names[:2])
    return tuple(names[: 3 if ".".join(names[:2]) in _OPEN else 2])


def _of(study: type[Section], key: tuple[str, ...], detail: ErrorDetails) -> list[Problem]:
    dotted, kind = ".".join(key), detail["type"]
    if kind == "extra_forbidden":
        return [Problem(key, f"unknown key {dotted}; {_nearest_key(study, key)}")]
    if kind == "missing" and not isinstance(detail["loc"][-1], int):  # else an item of a list
        form = form_of(key)
        if form:
            return [Problem(key, f"{dotted} is missing; it takes {form}")]
        needed = f"{dotted}.{_NEEDED[dotted]}"
        return [Problem(key, f"the section [{dotted}] is missing; it has {_NEEDED[dotted]} = {FORMS[needed].example}")]
    if kind == "value_error":
        error: object = detail.get("ctx", {}).get("error")
        texts = error.texts if isinstance(error, ProblemsError) else [("", str(error))]
        keys = [((*key, name) if name else key, text) for name, text in texts]
        return [Problem(key, f"{'.'.join(key)}: {_cut(text, detail['input'])}" if key else text) for key, text in keys]
    value, form = shown(detail["input"]), form_of(key)
    if form is None:
        return [Problem(key, f"{dotted}: {value} is no section; write [{dotted}] and below it its keys")]
    return [Problem(key, f"{dotted}: {value} does not fit; it takes {form}")]


def _cut(text: str, value: object) -> str:
    """A text in which long texts of a value are cut."""
    level = [value]
    while level:
        for each in level:
            if isinstance(each, str) and len(each) > MOST_LETTERS:
                text = text.replace(each, f"{each[:MOST_LETTERS]}...")
        level = [
            item for each in level for item in (each.values() if isinstance(each, dict) else each if isinstance(each, list | tuple) else ())
        ]
    return text


def _nearest_key(study: type[Section], key: tuple[str, ...]) -> str:
    """The suggestion for a key that is not known: of its own section, else of any."""
    known = sections(study)
    here = list(known[key[0]].model_fields) if len(key) > 1 and key[0] in known else [*study.model_fields, EXTENDS]
    elsewhere = {name.rpartition(".")[2]: name for name in reversed(FORMS) if "." in name}
    if key[-1] in elsewhere:
        return f"did you mean {elsewhere[key[-1]]}?"
    if near := nearest(key[-1], here):
        return f"did you mean {near}?"
    if near := nearest(key[-1], elsewhere, 0.8):
        return f"did you mean {elsewhere[near]}?"
    return f"known here: {', '.join(here)}"
