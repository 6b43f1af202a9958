"""Which trials or units are meant, as an expression over their columns; nothing is ever executed.

Names are columns, text stands in quotes. Known are `and`, `or`, `not`, comparisons (also chained,
and `in` lists), `+ - * / %`, `abs(...)` and `isnan(...)`:

    result == 'R' and 0.15 < reaction_time < 0.6 and target not in [3, 4]
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromotor._checks import did_you_mean
from neuromotor.analysis.layout import RecordingError

__all__ = ["chosen"]

_LONGEST = 2000
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"abs": np.abs, "isnan": np.isnan}


def chosen(
    expression: str, columns: Mapping[str, NDArray[Any]], count: int, option: str
) -> NDArray[np.bool_]:
    """Return which rows of a table an expression holds for, (count,).

    Args:
        expression: What must hold; every row is chosen by an empty text.
        columns: Columns by name, (count,).
        count: Number of rows.
        option: Name of the option, for messages.

    Raises:
        RecordingError: It is no expression that is known here, or names no column.

    Example:
        >>> table = {"result": np.array(["R", "F"]), "rt": np.array([0.2, 0.3])}
        >>> chosen("result == 'R' and rt < 0.25", table, 2, "select").tolist()
        [True, False]
    """
    if not expression.strip():
        return np.ones(count, dtype=bool)
    if len(expression) > _LONGEST:
        raise RecordingError(
            f"`{option}` must have {_LONGEST} characters or fewer, got {len(expression)}."
        )
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        with np.errstate(invalid="ignore", divide="ignore"):
            value = _value(tree.body, columns, option)
    except SyntaxError as error:
        raise RecordingError(
            f"`{option}` cannot be read at {(error.text or '')[(error.offset or 1) - 1 :]!r} of "
            f"{expression!r}; write it as in \"result == 'R' and rt < 0.5\"."
        ) from error
    except (TypeError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(
            f"`{option}` {expression!r} cannot be computed ({error}); do its columns hold numbers?"
        ) from error
    result = np.asarray(value)
    if result.dtype.kind != "b" or result.shape not in ((), (count,)):
        raise RecordingError(
            f"`{option}` must say yes or no, as \"result == 'R'\" does, got {expression!r}."
        )
    return np.broadcast_to(result, (count,)).copy()


def _value(node: ast.expr, columns: Mapping[str, NDArray[Any]], option: str) -> Any:
    """Return the value of one part of an expression."""

    def of(part: ast.expr) -> Any:
        return _value(part, columns, option)

    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in columns:
            raise RecordingError(
                f"`{option}` names {node.id!r}, which is no column; "
                f"{did_you_mean(node.id, columns)}."
            )
        return columns[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [of(part) for part in node.elts]
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        parts = [_truth(of(part), option) for part in node.values]
        result = parts[0]
        for part in parts[1:]:
            result = join(result, part)
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return np.logical_not(_truth(of(node.operand), option))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -of(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = of(node.left), of(node.right)
        if any(np.asarray(side).dtype.kind in "US" for side in (left, right)):
            raise RecordingError(f"`{option}` calculates with text; compare text by == and in.")
        return _ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.Compare):
        sides = [of(part) for part in (node.left, *node.comparators)]
        result = np.True_
        for sign, left, right in zip(node.ops, sides, sides[1:], strict=False):
            result = np.logical_and(result, _compared(sign, left, right, option))
        return result
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id in _FUNCTIONS and len(node.args) == 1:
            return _FUNCTIONS[node.func.id](of(node.args[0]))
    raise RecordingError(
        f"`{option}` may hold columns, numbers, text, comparisons, `and`, `or`, `not`, `in`, "
        f"+ - * / %, {', '.join(f'{name}(...)' for name in _FUNCTIONS)}; got {ast.unparse(node)!r}."
    )


def _compared(sign: ast.cmpop, left: Any, right: Any, option: str) -> Any:
    """Return where a comparison holds."""
    if isinstance(sign, ast.In | ast.NotIn):
        if not isinstance(right, list):
            raise RecordingError(f"`{option}`: `in` needs a list, as in `target in [1, 2]`.")
        found = np.zeros(np.shape(left), dtype=bool)
        for part in right:
            found = found | _compared(ast.Eq(), left, part, option)
        return ~found if isinstance(sign, ast.NotIn) else found
    if type(sign) not in _COMPARE:
        raise RecordingError(f"`{option}`: compare by == != < <= > >= and in.")
    texts = [np.asarray(side).dtype.kind in "US" for side in (left, right)]
    if texts[0] != texts[1]:
        raise RecordingError(
            f"`{option}` compares text with numbers; text stands in quotes, numbers do not."
        )
    return _COMPARE[type(sign)](left, right)


def _truth(value: Any, option: str) -> Any:
    if np.asarray(value).dtype.kind != "b":
        raise RecordingError(
            f"`{option}`: `and`, `or` and `not` join comparisons, as in `a == 1 and b > 2`."
        )
    return value
