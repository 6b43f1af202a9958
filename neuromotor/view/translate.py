"""Python to JavaScript: functions on components, and pieces of cells, as a page can run them.

Plants have their physics, and cells their formulas, as functions of a small part of Python:
arithmetic, tuples, `if`, loops over `range`, and calls of each other. This module reads their
source and writes the same in JavaScript, whose numbers are float64 too, so that no equation is
written a second time. What it does not know it refuses, by name.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from neuromotor.compiled import functions

__all__ = ["UntranslatableError", "defined", "translated"]

_KNOWN: dict[str, str] = {  # functions of one number, by module and name
    f"{functions.__name__}.{name}": javascript
    for name, javascript in {
        "chosen": "((x, above, otherwise) => (x > 0 ? above : otherwise))",
        "exponential": "Math.exp",
        "hyperbolic_tangent": "Math.tanh",
        "number": "((value, like) => value)",
        "power": "Math.pow",
        "sine_and_cosine": "((x) => [Math.sin(x), Math.cos(x)])",
        "square_root": "Math.sqrt",
    }.items()
}
_BUILTINS = {"abs": "Math.abs", "max": "Math.max", "min": "Math.min"}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.Not: "!",
    ast.And: "&&",
    ast.Or: "||",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "===",
    ast.NotEq: "!==",
    ast.Is: "===",
    ast.IsNot: "!==",
}
_RESERVED = frozenset(
    "arguments await break case catch class const continue debugger default delete do else enum "
    "eval export extends false finally for function if implements import in instanceof interface "
    "let new null package private protected public return static super switch this throw true try "
    "typeof undefined var void while with yield Math Array".split()
)


class UntranslatableError(ValueError):
    """A function uses a part of Python that has no translation here."""


def translated(wanted: Sequence[tuple[ModuleType, str]], given: Mapping[str, str]) -> str:
    """Return JavaScript of functions and of everything that they call.

    Each has the name of its module and its own, with two underscores between, as in
    `arm_components__step`.

    Args:
        wanted: Modules, and the names of functions in them.
        given: What JavaScript the page itself offers for functions, by their module's name, a dot
            and their own.

    Raises:
        UntranslatableError: A function uses what is not known here, or has no source.

    Example:
        >>> from neuromotor.plants import point_mass_components
        >>> print(translated([(point_mass_components, "hand")], {}))
        function point_mass_components__hand(par, x) {
          return [x[0], x[1], x[2], x[3]];
        }
    """
    writer = _Writer({**_KNOWN, **given})
    for module, name in wanted:
        writer.add(module, name)
    return "\n".join(writer.done.values())


def defined(module: ModuleType, name: str) -> tuple[ModuleType, str]:
    """Return the module in which a function is written, and its name there.

    A module may have a function from another one by `from other import name`; what is no function
    of Python stays where it was looked for.
    """
    return _written(getattr(module, name, None)) or (module, name)


def _written(found: Any) -> tuple[ModuleType, str] | None:
    """The module that a function was written in, and its name there; None for anything else."""
    found = getattr(found, "py_func", found)  # what numba compiled
    module = inspect.getmodule(found) if inspect.isfunction(found) else None
    return None if module is None else (module, found.__name__)


class _Writer:
    """Functions that are translated so far, by their names in JavaScript."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known, self.done = known, dict[str, str]()

    def add(self, module: ModuleType, name: str) -> str:
        """Translate a function, once; return its name in JavaScript."""
        known = self.known.get(f"{module.__name__}.{name}")
        if known is not None:
            return known
        label = f"{module.__name__.rpartition('.')[2]}__{name}"
        if label not in self.done:
            self.done[label] = ""  # its place, before those that it calls
            self.done[label] = _Function(self, module, _definition(module, name), label).text()
        return label


def _definition(module: ModuleType, name: str) -> ast.FunctionDef:
    """The source of a function, read."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise UntranslatableError(
            f"{module.__name__} has no source that can be read, so that `{name}` cannot be "
            "translated to JavaScript; put it into a file."
        ) from error
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise UntranslatableError(f"{module.__name__} has no function `{name}` of its own.")


class _Function:
    """One function on its way to JavaScript."""

    def __init__(
        self, writer: _Writer, module: ModuleType, node: ast.FunctionDef, label: str
    ) -> None:
        self.writer, self.module, self.node, self.label = writer, module, node, label
        arguments = node.args
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults:
            self.refuse(node, "arguments other than plain ones")
        self.arguments = [one.arg for one in arguments.args]
        stored = (
            one.id
            for one in ast.walk(node)
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
        )
        self.variables = [one for one in dict.fromkeys(stored) if one not in self.arguments]
        self.local = {*self.arguments, *self.variables}

    def refuse(self, node: ast.AST, what: str) -> Any:
        """Raise for a part of the function that has no translation."""
        line = getattr(node, "lineno", self.node.lineno)
        raise UntranslatableError(
            f"`{self.node.name}` of {self.module.__name__} cannot be translated to JavaScript: "
            f"{what} in line {line}; write it with arithmetic, tuples, `if`, `range` and "
            "components."
        )

    def text(self) -> str:
        """The whole function."""
        head = f"function {self.label}({', '.join(map(_safe, self.arguments))}) {{"
        names = [f"  let {', '.join(map(_safe, self.variables))};"] if self.variables else []
        return "\n".join([head, *names, *self.block(self.node.body, "  "), "}"])

    # ---- statements ----

    def block(self, body: Sequence[ast.stmt], indent: str) -> list[str]:
        return [line for node in body for line in self.statement(node, indent)]

    def statement(self, node: ast.stmt, indent: str) -> list[str]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return []  # a docstring
        if isinstance(node, ast.Delete | ast.Pass):
            return []
        if isinstance(node, ast.Expr):
            return [f"{indent}{self.expression(node.value)};"]
        if isinstance(node, ast.Return):
            value = "" if node.value is None else f" {self.expression(node.value)}"
            return [f"{indent}return{value};"]
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = self.expression(node.targets[0])
            return [f"{indent}{target} = {self.expression(node.value)};"]
        if isinstance(node, ast.AugAssign):
            operator = self.operator(node.op)
            target = self.expression(node.target)
            return [f"{indent}{target} {operator}= {self.expression(node.value)};"]
        if isinstance(node, ast.If):
            lines = [f"{indent}if ({self.truth(node.test)}) {{"]
            lines += self.block(node.body, indent + "  ")
            if node.orelse:
                lines += [f"{indent}}} else {{", *self.block(node.orelse, indent + "  ")]
            return [*lines, f"{indent}}}"]
        if isinstance(node, ast.For):
            return self.loop(node, indent)
        return list(self.refuse(node, f"the statement {type(node).__name__.lower()}"))

    def loop(self, node: ast.For, indent: str) -> list[str]:
        call = node.iter
        ranges = (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "range"
            and 1 <= len(call.args) <= 2
        )
        if not ranges or not isinstance(node.target, ast.Name) or node.orelse:
            self.refuse(node, "a loop over something else than `range`")
        *first, end = (self.expression(one) for one in call.args)  # type: ignore[attr-defined]
        name = self.expression(node.target)
        start, last = first[0] if first else "0", f"{name}_end"
        head = f"for (let {last} = ({name} = {start}, {end}); {name} < {last}; {name} += 1) {{"
        return [indent + head, *self.block(node.body, indent + "  "), f"{indent}}}"]

    # ---- expressions ----

    def operator(self, node: ast.AST) -> str:
        found = _OPERATORS.get(type(node))
        return found or str(self.refuse(node, f"the operator {type(node).__name__.lower()}"))

    def truth(self, node: ast.expr) -> str:
        """A condition; numbers count as Python has them, and lists do not count at all."""
        if isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            return self.expression(node)
        return str(self.refuse(node, "a condition that is no comparison"))

    def expression(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.Tuple | ast.List):
            return f"[{', '.join(map(self.expression, node.elts))}]"
        if isinstance(node, ast.Starred):
            return f"...{self.expression(node.value)}"
        if isinstance(node, ast.BinOp):
            left, right = self.expression(node.left), self.expression(node.right)
            if isinstance(node.op, ast.Pow):
                return f"Math.pow({left}, {right})"
            return f"({left} {self.operator(node.op)} {right})"
        if isinstance(node, ast.UnaryOp):
            return f"({self.operator(node.op)}{self.expression(node.operand)})"
        if isinstance(node, ast.BoolOp):
            joined = f" {self.operator(node.op)} ".join(map(self.truth, node.values))
            return f"({joined})"
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.IfExp):
            parts = self.expression(node.body), self.expression(node.orelse)
            return f"({self.truth(node.test)} ? {parts[0]} : {parts[1]})"
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Attribute):
            return f"{self.expression(node.value)}.{node.attr}"
        if isinstance(node, ast.Call):
            return self.call(node)
        return str(self.refuse(node, f"the expression {type(node).__name__.lower()}"))

    def constant(self, node: ast.Constant) -> str:
        value = node.value
        if value is None:
            return "null"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return repr(value)
        return str(self.refuse(node, f"the constant {value!r}"))

    def name(self, node: ast.Name) -> str:
        if node.id in self.local:
            return _safe(node.id)
        value = getattr(self.module, node.id, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return repr(value)
        return str(self.refuse(node, f"the name `{node.id}`"))

    def comparison(self, node: ast.Compare) -> str:
        if len(node.ops) != 1:
            self.refuse(node, "a chain of comparisons")
        left, right = self.expression(node.left), self.expression(node.comparators[0])
        if isinstance(node.ops[0], ast.Is | ast.IsNot) and right != "null":
            self.refuse(node, "`is` with something else than None")
        return f"({left} {self.operator(node.ops[0])} {right})"

    def subscript(self, node: ast.Subscript) -> str:
        value, index = self.expression(node.value), node.slice
        if isinstance(index, ast.Tuple) and len(index.elts) == 2:  # a table
            row, column = map(self.expression, index.elts)
            return f"{value}.data[({row}) * {value}.shape[1] + {column}]"
        if isinstance(index, ast.Slice) and index.step is None:
            low = "0" if index.lower is None else self.place(index.lower)
            high = "" if index.upper is None else f", {self.place(index.upper)}"
            return f"{value}.slice({low}{high})"
        return f"{value}[{self.place(index)}]"

    def place(self, node: ast.expr) -> str:
        if isinstance(node, ast.UnaryOp | ast.Tuple | ast.Slice):
            self.refuse(node, "an index from the end, or of several axes")
        return self.expression(node)

    def call(self, node: ast.Call) -> str:
        if node.keywords:
            self.refuse(node, "a call with names of arguments")
        arguments = ", ".join(map(self.expression, node.args))
        called = node.func
        if isinstance(called, ast.Call):  # `type(x)(0.5)`: a number of the kind of x
            inner = called.func
            if isinstance(inner, ast.Name) and inner.id == "type" and len(node.args) == 1:
                return arguments
            self.refuse(node, "a call of what a call returns")
        if isinstance(called, ast.Name) and called.id not in self.local:
            given = self.writer.known.get(f"{self.module.__name__}.{called.id}")
            if given is not None:
                return f"{given}({arguments})"
            if called.id in _BUILTINS and called.id not in vars(self.module):
                return f"{_BUILTINS[called.id]}({arguments})"
            return f"{self.function(node, getattr(self.module, called.id, None))}({arguments})"
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            if called.value.id in self.local:  # a kit that is handed over, as JavaScript's Math
                return f"{_safe(called.value.id)}.{called.attr}({arguments})"
            owner = getattr(self.module, called.value.id, None)
            if isinstance(owner, ModuleType):
                known = self.writer.known.get(f"{owner.__name__}.{called.attr}")
                found = known or self.function(node, getattr(owner, called.attr, None))
                return f"{found}({arguments})"
        return str(self.refuse(node, "the call of something that is no component"))

    def function(self, node: ast.Call, found: Any) -> str:
        """The name in JavaScript of a function that is called."""
        written = _written(found)
        if written is None:
            return str(self.refuse(node, f"the call of `{ast.unparse(node.func)}`"))
        return self.writer.add(*written)


def _safe(name: str) -> str:
    """A name that JavaScript does not keep for itself."""
    return f"{name}_" if name in _RESERVED else name
