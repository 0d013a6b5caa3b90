"""The structure of the package: imports point downward, files stay small, errors are handled in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import longvideoagent
from longvideoagent.cli.doctor import EXTRAS, declared_extras

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "longvideoagent"
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = [path for path in FILES if path != SOURCE / "__init__.py"]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 45
MAX_PARAMETERS = 5

# From the bottom up. A package may import those on lines before it and, without cycles, those on its line.
LAYERS = [
    ["errors", "fs", "log", "progress", "weights"],
    ["core"],
    ["media"],
    ["index"],
    ["models"],
    ["agents"],
    ["run"],
    ["datasets"],
    ["views"],
    ["evaluation", "training"],
    ["server"],
    ["cli"],
    ["__main__"],
]


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def package(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


@cache
def imports(path: Path) -> list[str]:
    """The modules of this project that a file imports, anywhere in the file."""
    modules: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
        if isinstance(node, ast.Import):
            modules.extend(name.name for name in node.names)
    return [module for module in modules if module.startswith("longvideoagent")]


def test_layers_complete() -> None:
    assert {package(path) for path in FILES} - {"__init__"} == {name for layer in LAYERS for name in layer}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_downward(path: Path) -> None:
    level = {name: number for number, floor in enumerate(LAYERS) for name in floor}
    for module in imports(path):
        parts = module.split(".")
        assert len(parts) > 1, f"{path.name} imports the public package; import the module itself"
        assert level[parts[1]] <= level[package(path)], f"{package(path)} must not import {module}"


def test_evaluation_and_training_independent() -> None:
    for one, other in (("evaluation", "training"), ("training", "evaluation")):
        found = [module for path in MODULES if package(path) == one for module in imports(path)]
        assert not [module for module in found if module.split(".")[1] == other]


def test_imports_no_cycle() -> None:
    graph = {
        ".".join(("longvideoagent", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): set(
            imports(path)
        )
        for path in MODULES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, *, with_parameters: bool) -> int:
    """Lines of a function without its docstring, and without its parameters, which are a command's options."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    header = function.body[0].lineno - function.lineno if with_parameters else 0
    return header + (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file_and_function_size(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    for function in functions(path):
        assert code_lines(function, with_parameters=path.parent.name != "cli") <= MAX_FUNCTION_LINES, function.name
        if path.parent.name != "cli" and function.name != "ask":
            arguments = [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]
            count = len([name for name in arguments if name != "self"])
            assert count <= MAX_PARAMETERS, function.name


def test_errors_handled_in_one_place() -> None:
    for path in FILES:
        text = path.read_text()
        num_blind = len(re.findall(r"except (?:Base)?Exception\b|except:", text))
        assert num_blind == (path.name == "errors.py"), path  # as_data_error, which raises again
        if path.name != "errors.py":
            assert "sys.exit" not in text, path
            assert "SystemExit" not in text, path


def test_media_opened_for_reading_in_one_place() -> None:
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("av.open", "av.container.open"):
                mode = ast.unparse(node.args[1]) if len(node.args) > 1 else None
                assert mode == "'w'" or path == SOURCE / "media" / "container.py", path


def test_import_loads_nothing_heavy() -> None:
    heavy = ("longvideoagent.core.trace", "av", "cv2", "numpy", "PIL", "rapidocr", "bm25s", "jinja2", "openai")
    code = f"import sys, longvideoagent.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names() -> None:
    assert sorted(longvideoagent.__all__) == longvideoagent.__all__
    for name in longvideoagent.__all__:
        assert getattr(longvideoagent, name) is not None
    assert dir(longvideoagent) == longvideoagent.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        longvideoagent.nothing  # noqa: B018


def test_extras_described() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(declared) == set(EXTRAS) == set(declared_extras())


def test_core_no_io() -> None:
    banned = {"open", "print", "time", "asyncio", "logging", "random", "os", "pathlib", "socket"}
    for path in (SOURCE / "core").glob("*.py"):
        used: set[str] = set()
        for node in ast.walk(tree(path)):
            match node:
                case ast.Import(names=names):
                    used |= {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=str(module)):
                    used.add(module.split(".")[0])
                case ast.Call(func=ast.Name(id=called)):
                    used.add(called)
                case _:
                    pass
        assert not used & banned, path.name


def test_makefile_defines_every_variable_and_target() -> None:
    text = (ROOT / "Makefile").read_text()
    defined = set(re.findall(r"^(\w+)\s*[:?]?=", text, re.MULTILINE))
    assert set(re.findall(r"\$\((\w+)\)", text)) <= defined
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets
