"""The shape of the house: imports point downward, no room is overfull, errors are told in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import longvideoagent
from longvideoagent.cli.doctor import EXTRAS, declared_extras

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "longvideoagent"
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = [path for path in FILES if path != SOURCE / "__init__.py"]
LONGEST_FILE = 400
LONGEST_FUNCTION = 45
MOST_PARAMETERS = 5

# From the ground up; a room may use those before it and, within a line, its neighbours but for cycles.
FLOORS = [
    ["errors", "fs", "log", "progress"],
    ["core"],
    ["media", "models"],
    ["index"],
    ["agents"],
    ["run"],
    ["datasets"],
    ["views"],
    ["evaluation", "training"],
    ["server"],
    ["cli"],
    ["__main__"],
]


def room(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("longvideoagent"):
            yield node.module
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("longvideoagent"))


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in FILES} - {"__init__"} == {name for floor in FLOORS for name in floor}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_downward(path: Path) -> None:
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    for module in imports(path):
        parts = module.split(".")
        assert len(parts) > 1, f"{path.name} imports the public face; import the room itself"
        assert level[parts[1]] <= level[room(path)], f"{room(path)} must not import {module}"


def test_evaluation_and_training_know_nothing_of_each_other() -> None:
    for one, other in (("evaluation", "training"), ("training", "evaluation")):
        found = [module for path in ROOMS if room(path) == one for module in imports(path)]
        assert not [module for module in found if module.split(".")[1] == other]


def test_there_is_no_import_cycle() -> None:
    graph = {
        ".".join(("longvideoagent", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): set(
            imports(path)
        )
        for path in ROOMS
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
    yield from (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_or_function_is_overfull(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for function in functions(path):
        first = function.body[0].lineno if path.parent.name == "cli" else function.lineno  # options are no code
        assert (function.end_lineno or 0) - first < LONGEST_FUNCTION, function.name
        if path.parent.name != "cli" and function.name != "ask":
            arguments = [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]
            count = len([name for name in arguments if name != "self"])
            assert count <= MOST_PARAMETERS, function.name


def test_errors_are_turned_into_words_in_one_place() -> None:
    for path in FILES:
        text = path.read_text()
        assert not re.search(r"except (Base)?Exception\b|except:", text), path
        if path.name != "errors.py":
            assert "sys.exit" not in text, path
            assert "SystemExit" not in text, path


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("av", "cv2", "numpy", "PIL", "rapidocr", "bm25s", "jinja2", "openai")
    code = f"import sys, longvideoagent.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face_is_what_it_says() -> None:
    assert sorted(longvideoagent.__all__) == longvideoagent.__all__
    for name in longvideoagent.__all__:
        assert getattr(longvideoagent, name) is not None
    assert dir(longvideoagent) == longvideoagent.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        longvideoagent.nothing  # noqa: B018


def test_every_extra_is_described() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(declared) == set(EXTRAS) == set(declared_extras())


def test_no_core_file_does_io() -> None:
    banned = {"open", "print", "time", "asyncio", "logging", "random", "os", "pathlib", "socket"}
    for name in ("types", "trace", "protocol", "rollout", "scoring"):
        used: set[str] = set()
        for node in ast.walk(ast.parse((SOURCE / "core" / f"{name}.py").read_text())):
            match node:
                case ast.Import(names=names):
                    used |= {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=str(module)):
                    used.add(module.split(".")[0])
                case ast.Call(func=ast.Name(id=called)):
                    used.add(called)
                case _:
                    pass
        assert not used & banned, name
