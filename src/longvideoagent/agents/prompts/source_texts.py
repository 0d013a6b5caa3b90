"""Reads texts out of Python code of others, which is parsed and never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from longvideoagent.errors import DataError

# How the public code names in its expressions what a field of a layout holds.
FIELD_OF_KEY = {"q": "question", "description": "query", **{f"a{index}": f"a{index}" for index in range(5)}}
FIELD_OF_NAME = {
    "question": "question",
    "query": "query",
    "vid": "current",
    "current_vid": "current",
    "predicted_clip": "label",
    "clip_name": "label",
    "subtitle": "clips",
    "new_sub": "clips",
    "subtitle_text": "raw_text",
    "initial_clip_subtitle": "clips",
    "bbox_info": "boxes",
    "bbox_content": "boxes",
    "vision_response": "seen",
    "key": "label",
    "frame_id": "frame",
    "name": "label",
    "x": "left",
    "y": "top",
    "width": "width",
    "height": "height",
    **{f"a{index}": f"a{index}" for index in range(5)},
}
_SUBSTITUTE = "\x1a"
"""Encloses, in a template, an expression that stands for nothing known."""


class MissingTextError(Exception):
    """A sentence that the checkout does not have."""


@dataclass
class SourceFile:
    """One Python file of the checkout, parsed."""

    path: Path
    tree: ast.Module

    @classmethod
    def read(cls, checkout: Path, *names: str) -> SourceFile:
        """The first of these files that exists. Raises DataError if none does, or if it is not Python."""
        path = next((checkout / name for name in names if (checkout / name).is_file()), None)
        if path is None:
            raise DataError(f"{checkout}: has no {' or '.join(names)}; give a checkout of the public repository")
        try:
            return cls(path, ast.parse(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise DataError(f"{path}: cannot be read as Python ({error}); check out the file again") from error

    def function(self, *names: str) -> ast.FunctionDef:
        """The first function or method with one of these names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                return node
        raise MissingTextError(f"function {' or '.join(names)}")

    def constant(self, name: str) -> ast.expr:
        """The value that is assigned to a name of the module."""
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else ()
            if isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id == name for each in targets):
                return node.value
        raise MissingTextError(f"constant {name}")


class TextImport:
    """What is common to the imports: reading sentences out of functions, and collecting what is missing."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.missing: list[str] = []

    def texts(self) -> dict[str, str | bool]:
        """The fields of the layout. Raises DataError, which names each text that is missing."""
        try:
            texts = dict(self.fields())
        except MissingTextError as error:
            self.missing.append(str(error))
        if self.missing:
            raise lacking_error(self.source.path, self.missing)
        return texts

    def fields(self) -> Iterator[tuple[str, str | bool]]:
        """The fields of the layout, one after the other; what is missing goes to ``missing``."""
        raise NotImplementedError

    def text(self, what: str, function: Sequence[str], tag: str, without: str = "\0") -> str:
        """The first text of a function that contains ``tag``, and not ``without``. A text that is missing, or holds an
        expression that stands for nothing known, is recorded as missing."""
        texts = self.texts_in(function)
        text = next((text for text in texts if tag in text and without not in text), None)
        if text is None:
            self.missing.append(f"{what} (in {function[0]}, with {tag})")
        return self.check(what, text or "")

    def texts_in(self, function: Sequence[str]) -> list[str]:
        """The texts of a function, in order; none if there is no such function."""
        try:
            return self.strings(self.source.function(*function))
        except MissingTextError:
            return []

    def assigned(self, what: str, function: Sequence[str], name: str, *, is_added: bool = False) -> list[ast.expr]:
        """The values that are assigned to a variable of a function, or only those that are added to it, in order."""
        kind = ast.AugAssign if is_added else ast.Assign | ast.AugAssign
        try:
            nodes = [
                node
                for node in ast.walk(self.source.function(*function))
                if isinstance(node, kind) and _assigns(node, name)
            ]
        except MissingTextError as error:
            self.missing.append(f"{what} ({error})")
            return []
        if not nodes:
            self.missing.append(f"{what} (the variable {name} in {function[0]})")
        return sorted((node.value for node in nodes), key=lambda value: value.lineno)

    def strings(self, node: ast.AST) -> list[str]:
        """The texts in a piece of code that are not part of longer ones, in order, as templates."""
        inner: set[int] = set()
        texts: list[tuple[int, str]] = []
        for child in ast.walk(node):
            if id(child) in inner or not isinstance(child, ast.JoinedStr | ast.Constant):
                continue
            inner |= {id(part) for part in ast.walk(child)}
            if isinstance(child, ast.JoinedStr) or isinstance(child.value, str):
                texts.append((child.lineno, self.template(child)))
        return [text for _, text in sorted(texts, key=itemgetter(0))]

    def template(self, node: ast.expr) -> str:
        """A text or f-string as a template: each expression in it becomes the field that it stands for."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value.replace("$", "$$")
        if not isinstance(node, ast.JoinedStr):
            raise MissingTextError(f"line {node.lineno}: a text, instead of {ast.unparse(node)[:60]}")
        parts: list[str] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                is_changed = part.conversion != -1 or part.format_spec is not None
                parts.append(_unknown(part) if is_changed else self.insertion(part.value))
            else:
                parts.append(self.template(part))
        return "".join(parts)

    def insertion(self, value: ast.expr) -> str:
        """What stands in a template for an expression of an f-string."""
        field = field_of(value)
        return f"${{{field}}}" if field else _unknown(value)

    def check(self, what: str, template: str) -> str:
        """The template, unless it holds an expression that stands for nothing known."""
        if match := re.search(f"{_SUBSTITUTE}(.*?){_SUBSTITUTE}", template, re.DOTALL):
            self.missing.append(f"{what}: what {match[1]!r} stands for")
        return template

    def observations(self, function: Sequence[str]) -> Iterator[tuple[str, str | bool]]:
        """The observations, which the public code writes with a line break before and after, and what is the same in
        its three agents."""
        new_clip = self.text("the new clip", function, "<New_clip>")
        yield "new_clip", new_clip.removeprefix("\n").removesuffix("\n")
        try:
            returns = [node for node in ast.walk(self.source.function(*function)) if isinstance(node, ast.Return)]
            invalid = self.strings(max(returns, key=lambda node: node.lineno))[0]
        except (MissingTextError, ValueError, IndexError):
            self.missing.append(f"the notice after an invalid reply (the last return of {function[0]})")
            invalid = ""
        yield (
            "invalid_reply",
            self.check("the notice after an invalid reply", invalid).removeprefix("\n").removesuffix("\n"),
        )
        yield "notice", "${text}"
        yield "option", "a${index}: ${option}"
        yield "option_join", "\n"
        yield "first_clip", "${clips}"
        yield "no_first_clip", ""
        yield "clip_join", "\n"
        yield "before_observation", "\n"
        yield "after_observation", "\n"
        yield "before_reply", ""
        yield "prompt_end", ""
        yield "frame_label", ""


def lacking_error(path: Path, missing: Sequence[str]) -> DataError:
    """The error for a file of the checkout that lacks texts."""
    return DataError(f"{path}: does not have {'; '.join(missing)}; give an unchanged checkout of the public repository")


def _unknown(value: ast.expr) -> str:
    """What stands in a template for an expression that stands for nothing known; ``check`` finds it."""
    return f"{_SUBSTITUTE}{ast.unparse(value)[:60]}{_SUBSTITUTE}"


def _assigns(node: ast.Assign | ast.AugAssign, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def field_of(value: ast.expr) -> str:
    """The field of a layout that an expression of the public code stands for; empty if it is not known."""
    match value:
        case ast.Name(id=name):
            return FIELD_OF_NAME.get(name, "")
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return FIELD_OF_KEY.get(key, "")
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return FIELD_OF_KEY.get(key, "")
        case ast.Call(func=ast.Attribute(value=inner, attr="strip"), args=[]):
            return field_of(inner)
        case ast.Call(func=ast.Name(id="len")):
            return "num_frames"
        case _:
            return ""
