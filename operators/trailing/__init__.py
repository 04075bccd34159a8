"""Trailing windows: what each row's key did in the time before it."""

from operators.trailing.operator import TrailingOperator, trailing_operator

__all__ = ["TrailingOperator", "trailing_operator"]
