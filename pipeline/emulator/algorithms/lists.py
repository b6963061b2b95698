"""Algorithms on lists.

Source: Earth Engine API, ee.List.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cropcam.pipeline.emulator import budget
from cropcam.pipeline.emulator.elements import Callback, Filter
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import Number
from cropcam.pipeline.emulator.reducers import Reducer, reduce_numbers
from cropcam.pipeline.emulator.registry import algorithm
from cropcam.pipeline.emulator.values import Value


@algorithm("List.get", "List.getNumber", "List.getString", "List.getGeometry")
def get(list: list[Any], index: int) -> Value:  # noqa: A002
    """The element at an index; negative ones count from the end."""
    if not -len(list) <= index < len(list):
        raise EngineError(f"List.get: List index must be between 0 and {len(list) - 1}, or -1 and -{len(list)}. Found {index}.")
    return list[index]


@algorithm("List.size", "List.length")
def size(list: list[Any]) -> int:  # noqa: A002
    """The number of elements."""
    return len(list)


@algorithm("List.slice")
def slice_(list: list[Any], start: int, end: int | None = None, step: int | None = None) -> Value:  # noqa: A002
    """The elements [start, end); negative numbers count from the end."""
    return list[start : end : step or 1]


@algorithm("List.add")
def add(list: list[Any], element: Value) -> Value:  # noqa: A002
    """The list with an element appended."""
    return [*list, element]


@algorithm("List.cat")
def cat(list: list[Any], other: list[Any]) -> Value:  # noqa: A002
    """Both lists in a row."""
    budget.check_items(len(list) + len(other))
    return [*list, *other]


@algorithm("List.contains")
def contains(list: list[Any], element: Value) -> bool:  # noqa: A002
    """Whether it holds an element."""
    return element in list


@algorithm("List.containsAll")
def contains_all(list: list[Any], other: list[Any]) -> bool:  # noqa: A002
    """Whether it holds all elements of another."""
    budget.check_steps(len(list) * len(other))
    return all(element in list for element in other)


@algorithm("List.equals")
def equals(list: list[Any], other: list[Any]) -> bool:  # noqa: A002
    """Whether both hold the same."""
    return list == other


@algorithm("List.distinct")
def distinct(list: list[Any]) -> Value:  # noqa: A002
    """The first of each equal element."""
    budget.check_steps(len(list) ** 2 / 2)
    return [element for number, element in enumerate(list) if element not in list[:number]]


@algorithm("List.filter")
def filter_(list: list[Any], filter: Filter) -> Value:  # noqa: A002
    """The elements that a filter passes, each as the property "item"."""
    return [element for element in list if filter.passes(_Item(element))]


@algorithm("List.flatten")
def flatten(list: list[Any]) -> Value:  # noqa: A002
    """Lists within lists in a row."""
    return budget.gathered(_leaves(list))


@algorithm("List.frequency")
def frequency(list: list[Any], element: Value) -> int:  # noqa: A002
    """How often it holds an element."""
    return list.count(element)


@algorithm("List.indexOf")
def index_of(list: list[Any], element: Value) -> int:  # noqa: A002
    """Index of the first equal element, -1 where absent."""
    return list.index(element) if element in list else -1


@algorithm("List.insert")
def insert(list: list[Any], index: int, element: Value) -> Value:  # noqa: A002
    """The list with an element before an index."""
    return [*list[:index], element, *list[index:]]


@algorithm("List.set")
def set_(list: list[Any], index: int, element: Value) -> Value:  # noqa: A002
    """The list with another element at an index."""
    get(list, index)
    place = index % len(list)
    return [*list[:place], element, *list[place + 1 :]]


@algorithm("List.remove")
def remove(list: list[Any], element: Value) -> Value:  # noqa: A002
    """The list without the first such element."""
    place = index_of(list, element)
    return list if place < 0 else [*list[:place], *list[place + 1 :]]


@algorithm("List.removeAll")
def remove_all(list: list[Any], other: list[Any]) -> Value:  # noqa: A002
    """The list without elements of another."""
    budget.check_steps(len(list) * len(other))
    return [element for element in list if element not in other]


@algorithm("List.replaceAll")
def replace_all(list: list[Any], oldval: Value, newval: Value) -> Value:  # noqa: A002
    """The list with a value replaced."""
    return [newval if element == oldval else element for element in list]


@algorithm("List.reverse")
def reverse(list: list[Any]) -> Value:  # noqa: A002
    """The list from its end."""
    return list[::-1]


@algorithm("List.sort")
def sort(list: list[Any], keys: list[Any] | None = None) -> Value:  # noqa: A002
    """The list ascending, by keys of the same order where they are given."""
    order = keys if keys is not None else list
    if len(order) != len(list):
        raise EngineError(f"List.sort: {len(list)} elements and {len(order)} keys.")
    return [list[number] for number in sorted(range(len(list)), key=lambda number: (isinstance(order[number], str), order[number]))]


@algorithm("List.join")
def join(list: list[Any], separator: str = "") -> str:  # noqa: A002
    """The elements as text."""
    budget.check_text(len(separator) * len(list))
    return separator.join(str(element) for element in list)


@algorithm("List.zip")
def zip_(list: list[Any], other: list[Any]) -> Value:  # noqa: A002
    """Pairs of elements, as many as the shorter has."""
    return [[a, b] for a, b in zip(list, other, strict=False)]


@algorithm("List.unzip")
def unzip(list: list[Any]) -> Value:  # noqa: A002
    """Columns of a list of rows."""
    return [[*column] for column in zip(*list, strict=False)]


@algorithm("List.repeat")
def repeat(value: Value, count: int) -> Value:
    """One value several times."""
    budget.check_items(count * (1 + budget.weight(value)))
    return [value] * count


@algorithm("List.sequence")
def sequence(start: int | float, end: int | float | None = None, step: int | float = 1, count: int | None = None) -> Value:
    """Numbers from start to end (inclusive) by steps, or so many of them."""
    if count is not None:
        budget.check_items(count)
    if count is not None and end is not None:
        numbers: list[Number] = [start + (end - start) * i / (count - 1) for i in range(count)] if count > 1 else [start]
    elif count is not None:
        numbers = [start + step * i for i in range(count)]
    elif end is None or step == 0:
        raise EngineError("List.sequence: Either 'end' or 'count' is required, and 'step' may not be 0.")
    else:
        steps = (end - start) / step + 1e-9
        budget.check_items(steps)
        numbers = [start + step * i for i in range(max(int(steps) + 1, 0))]
    return [int(number) if float(number).is_integer() else number for number in numbers]


@algorithm("List.map")
def map_(list: list[Any], baseAlgorithm: Callback, dropNulls: bool = False) -> Value:  # noqa: A002
    """The function's result for each element."""
    made = [baseAlgorithm.call(element) for element in list]
    return [value for value in made if value is not None] if dropNulls else made


@algorithm("List.iterate")
def iterate(list: list[Any], function: Callback, first: Value) -> Value:  # noqa: A002
    """The function over element and result so far, from first to last."""
    result = first
    for element in list:
        result = function.call(element, result)
    return result


@algorithm("List.reduce")
def reduce(list: list[Any], reducer: Reducer) -> Value:  # noqa: A002
    """The reducer's output for the list."""
    return reduce_numbers(reducer, list)


class _Item:
    """A list element as filters see it."""

    def __init__(self, value: Value) -> None:
        self.properties = {"item": value}


def _leaves(value: Value) -> Iterator[Any]:
    for element in value:
        if isinstance(element, list):
            yield from _leaves(element)
        else:
            yield element
