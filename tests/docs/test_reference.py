"""Reference docstrings of the public API, in the form that docs/api.md is generated from (Google style)."""

from __future__ import annotations

import ast
import builtins
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any, get_type_hints

import pytest

import longvideoagent
from longvideoagent import errors
from longvideoagent.errors import LongVideoAgentError

PUBLIC = {name: getattr(longvideoagent, name) for name in longvideoagent.__all__}
CLASSES = {name: value for name, value in PUBLIC.items() if isinstance(value, type)}
ERRORS = {name: value for name, value in CLASSES.items() if issubclass(value, Exception)}
CAUGHT_BY_CALLEE = {"Team.perform": {"ModelError"}}
"""Errors of a call whose result is awaited, and whose errors are caught, elsewhere."""


def methods(class_: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods that the class itself defines."""
    for name, value in vars(class_).items():
        function = value.__func__ if isinstance(value, classmethod) else value
        if inspect.isfunction(function) and not name.startswith("_"):
            yield name, function


FUNCTIONS = {name: value for name, value in PUBLIC.items() if name not in CLASSES} | {
    f"{class_name}.{name}": function
    for class_name, class_ in CLASSES.items()
    if class_name not in ERRORS
    for name, function in methods(class_)
}


def section(documented: object, title: str) -> dict[str, str]:
    """The entries of a section of a docstring: what stands before the colon, and after it."""
    lines = (inspect.getdoc(documented) or "").split("\n")
    if f"{title}:" not in lines:
        return {}
    entries: dict[str, str] = {}
    for line in lines[lines.index(f"{title}:") + 1 :]:
        if line and not line.startswith(" "):
            break
        match = re.fullmatch(r" {4}(?! )([^:]+)(?:: (.+))?", line)
        if match:
            entries[match[1]] = match[2] or match[1]
    return entries


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "cls"}


def error_names(text: str) -> set[str]:
    return set(re.findall(r"\b\w+Error\b", text))


def documented_errors(function: object) -> set[str]:
    """The errors after the word Raises in a docstring, whether in a section or in a sentence."""
    return error_names((inspect.getdoc(function) or "").partition("Raises")[2])


def raised_errors(function: Callable[..., Any]) -> set[str]:
    """The errors that a function raises itself, and those that functions it calls by name document."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    module = vars(sys.modules[function.__module__])
    raised: set[str] = set()
    caught: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name))):
                raised.add(name)
            case ast.Call(func=ast.Name(id=name)) if inspect.isfunction(module.get(name)):
                raised |= documented_errors(module[name])
            case ast.ExceptHandler(type=ast.expr() as caught_type):
                caught |= error_names(ast.unparse(caught_type))
            case _:
                pass
    return raised - caught


def documented_fields(class_: type) -> dict[str, bool]:
    """The fields or members of a class, and whether a docstring follows each."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(class_))).body
    assert isinstance(tree, ast.ClassDef)
    fields: dict[str, bool] = {}
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        is_documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                fields[name] = is_documented
            case ast.Assign(targets=[ast.Name(id=name)]) if issubclass(class_, enum.Enum):
                fields[name] = is_documented
    return fields


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reference_function(name: str) -> None:
    function = FUNCTIONS[name]
    summary = (inspect.getdoc(function) or "").split("\n")[0]
    assert summary.endswith((".", ":")), "the first line is a complete summary"
    assert set(section(function, "Args")) == parameters(function)
    has_result = get_type_hints(function).get("return") not in (None, type(None))
    assert bool(section(function, "Returns") or section(function, "Yields")) == has_result
    assert raised_errors(function) - CAUGHT_BY_CALLEE.get(name, set()) <= set(section(function, "Raises"))


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ERRORS])
def test_reference_class(name: str) -> None:
    class_ = CLASSES[name]
    assert (inspect.getdoc(class_) or "").split("\n")[0].endswith(".")
    assert [field for field, is_documented in documented_fields(class_).items() if not is_documented] == []
    assert all(inspect.getdoc(value) for value in vars(class_).values() if isinstance(value, property))
    if "__post_init__" in vars(class_):
        assert raised_errors(vars(class_)["__post_init__"]) <= set(section(class_, "Raises"))
    if class_.__bases__ == (object,) and not is_dataclass(class_):
        assert set(section(class_, "Args")) == parameters(vars(class_)["__init__"])


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if documented_errors(FUNCTIONS[name])])
def test_reference_errors_exist(name: str) -> None:
    for error in section(FUNCTIONS[name], "Raises"):
        assert issubclass(getattr(errors, error, None) or getattr(builtins, error), Exception)


@pytest.mark.parametrize("name", ERRORS)
def test_reference_error(name: str) -> None:
    assert issubclass(ERRORS[name], LongVideoAgentError)
    assert (inspect.getdoc(ERRORS[name]) or "").endswith(".")
