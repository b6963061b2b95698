"""The type of an expression's value: any."""

from __future__ import annotations

from typing import Any, TypeAlias

Value: TypeAlias = Any
