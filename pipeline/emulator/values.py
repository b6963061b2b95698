"""The name of what expressions stand for, where it can be of any type."""

from __future__ import annotations

from typing import Any, TypeAlias

Value: TypeAlias = Any
