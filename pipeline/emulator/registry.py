"""The registry of algorithms: their exact names, arguments and the promotion of values.

An algorithm is a function whose parameters carry Earth Engine's argument names (with a trailing underscore for
Python's keywords) and whose annotations are the expected types. Arguments of the service that the function lacks are
listed: `ignored` ones have no effect, `refused` ones are errors.
"""

from __future__ import annotations

import functools
import inspect
import operator
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cropcam.pipeline.emulator.errors import EngineError, unimplemented
from cropcam.pipeline.emulator.values import Value

Function = TypeVar("Function", bound=Callable[..., Any])
Promotion = Callable[[Any], Any]


class NotPromotable(Exception):  # noqa: N818 - a signal, not a failure
    """A value that cannot be promoted to the expected type, named by `args[0]`."""


@dataclass(frozen=True)
class Parameter:
    """One argument: its name there and here, whether it may be left out, its annotated type without None."""

    name: str
    python_name: str
    optional: bool
    hint: Any
    injected: bool = False


@dataclass(frozen=True)
class Algorithm:
    """A registered algorithm."""

    name: str
    function: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    ignored: frozenset[str]
    refused: frozenset[str]

    def call(self, arguments: Mapping[str, Any], context: Value) -> Value:
        """The algorithm's value.

        Args:
            arguments: by Earth Engine's names; null counts as left out where that is allowed.
            context: passed to functions with such a parameter.

        Raises:
            EngineError: an argument is missing, unknown, not implemented or of a wrong type.
        """
        given: dict[str, Any] = {}
        for name, value in arguments.items():
            if name in self.parameters:
                given[name] = value
            elif name in self.refused:
                if value is not None:
                    raise unimplemented(f"{self.name}: argument '{name}'")
            elif name not in self.ignored:
                raise EngineError(f"{self.name}: Unrecognized argument '{name}'.")
        call: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.injected:
                call[parameter.python_name] = context
            elif given.get(name) is None:
                if not parameter.optional:
                    raise EngineError(f"{self.name}: Parameter '{name}' is required and may not be null.")
            else:
                call[parameter.python_name] = self._promoted(parameter, given[name])
        try:
            return self.function(**call)
        except NotPromotable as signal:
            raise EngineError(f"{self.name}: Invalid type.\nExpected type: {signal.args[0]}.") from None

    def _promoted(self, parameter: Parameter, value: Value) -> Value:
        promotion = _PROMOTIONS.get(parameter.hint)
        if promotion is None:
            return value
        try:
            return promotion(value)
        except NotPromotable as signal:
            raise EngineError(
                f"{self.name}, argument '{parameter.name}': Invalid type.\nExpected type: {signal.args[0]}.\nActual type: {type_name(value)}."
            ) from None


ALGORITHMS: dict[str, Algorithm] = {}
_PROMOTIONS: dict[Any, Promotion] = {}
_TYPE_NAMES: dict[type, str] = {
    bool: "Boolean", int: "Integer", float: "Float", str: "String", list: "List<Object>", dict: "Dictionary<Object>", type(None): "Null",
}  # fmt: skip


class Context:
    """Context that the engine passes to algorithms with such an annotation."""


def algorithm(name: str, *more: str, ignored: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """Register a function under an algorithm's exact name, and under its aliases."""

    def register(function: Function) -> Function:
        hints = typing.get_type_hints(function)
        parameters = {}
        for parameter in inspect.signature(function).parameters.values():
            hint = hints.get(parameter.name, Any)
            ee_name = parameter.name.removesuffix("_")
            optional = parameter.default is not inspect.Parameter.empty
            injected = isinstance(hint, type) and issubclass(hint, Context)
            parameters[ee_name] = Parameter(ee_name, parameter.name, optional, _without_none(hint), injected)
        for alias in (name, *more):
            ALGORITHMS[alias] = Algorithm(alias, function, parameters, frozenset(ignored), frozenset(refused))
        return function

    return register


def promotes(target: Value, name: str) -> Callable[[Function], Function]:
    """Register how values become `target`, a type that error messages call `name`."""

    def register(function: Function) -> Function:
        _PROMOTIONS[target] = function
        if isinstance(target, type):
            _TYPE_NAMES[target] = name
        return function

    return register


def find(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        EngineError: there is none, naming it.
    """
    plain = name.removeprefix("algorithms/")
    entry = ALGORITHMS.get(plain)
    if entry is None:
        raise unimplemented(f"Algorithm '{plain}'")
    return entry


def promote(value: Value, target: Value) -> Value:
    """A value as `target`.

    Raises:
        NotPromotable: another type.
    """
    return _PROMOTIONS[target](value)


def type_name(value: Value) -> str:
    """What error messages call a value's type."""
    return next((name for kind, name in _TYPE_NAMES.items() if type(value) is kind), type(value).__name__)


def _without_none(hint: Value) -> Value:
    options = typing.get_args(hint)
    if type(None) not in options:
        return hint
    return functools.reduce(operator.or_, [option for option in options if option is not type(None)])
