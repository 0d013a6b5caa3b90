"""Ways in which files break, and in which somebody would break them. Each depends on ``rng`` only."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

MAX_REPEATS = 200_000
_INTEGERS = (0, 1, -1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 1e308, -1e308, float("nan"), float("inf"), 0.1, "", " ", "x", "-1",
    "1e999", "nan", "\x00", "\ud800", "../../etc/passwd", "<answer>a0</answer>", "\x1b[31m", "9" * 400, "é" * 3000,
    [], {}, [[]], [None], {"": None}, [[[[[[]]]]]],
)  # fmt: skip


Damage = Callable[[bytes, random.Random], bytes]


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four kinds of damage."""
    for _ in range(rng.randint(1, 4)):
        damage: Damage = rng.choice(_DAMAGES)
        data = damage(data, rng) or b"\x00"
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _cut(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 4, 100, 5000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    part = data[start : start + rng.choice((1, 3, 188, 4000))]
    return data[:start] + part * min(rng.choice((2, 10, 5000)), MAX_REPEATS // max(1, len(part))) + data[start:]


def _zero(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    length = min(rng.choice((4, 100, 5000)), len(data) - start)
    return data[:start] + bytes([rng.choice((0, 255))]) * length + data[start + length :]


def _integer(data: bytes, rng: random.Random) -> bytes:
    """Write a number where a length, a time or a size may stand; headers are hit most."""
    size = rng.choice((1, 2, 4, 8))
    start = rng.randrange(min(len(data), rng.choice((200, 2000, 2**31))))
    value: int = rng.choice(_INTEGERS) & (2 ** (8 * size) - 1)
    return data[:start] + value.to_bytes(size, rng.choice(("big", "little"))) + data[start + size :]


def _move(data: bytes, rng: random.Random) -> bytes:
    first, second = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
    return data[second:] + data[first:second] + data[:first]


_DAMAGES = (_flip, _truncate, _cut, _repeat, _zero, _integer, _integer, _move)


def damaged_text(tokens: tuple[str, ...], rng: random.Random) -> str:
    """A text of tokens, some of them many times in a row."""
    parts = []
    for _ in range(rng.randint(1, 30)):
        token = rng.choice(tokens)
        parts.append(token * rng.choice((1, 1, 1, 1, 2, 30, min(20_000, MAX_REPEATS // max(1, len(token))))))
    return rng.choice(("", " ", "\n")).join(parts)


def damaged_json(value: Any, rng: random.Random) -> Any:
    """The value with some of its parts replaced, removed, repeated or moved to another place."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        value = _damage_part(value, rng)
    return value


def _damage_part(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return copy.deepcopy(rng.choice(_VALUES))
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    kind = rng.random()
    if kind < 0.6:
        value[key] = _damage_part(value[key], rng)
    elif kind < 0.8:
        del value[key]
    elif isinstance(value, list):
        value.extend(value[: rng.choice((1, 100))])
    else:
        value[rng.choice(("", "id", "\x00", "x" * 300))] = value[key]
    return value


def json_text(value: Any, rng: random.Random) -> bytes:
    """The value as JSON, sometimes with damage to the text itself."""
    text: bytes = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return damaged_bytes(text, rng) if rng.random() < 0.3 else text
