"""What a reader learns from the words of offline vision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longvideoagent.agents.offline.vision_wording import (
    DetectionKind,
    change_texts,
    colours_text,
    faces_text,
    kind_of,
    named_colours,
    num_faces,
)
from longvideoagent.index.visible_objects import object_text
from longvideoagent.media.cv import COLOURS, Change, Movement
from longvideoagent.media.ocr import ScreenText
from longvideoagent.media.text_columns import describe_column, read_column

PIECE = st.text(st.characters(exclude_characters="“”\n"), min_size=1)


def change(colour: str, to_x: float, to_y: float) -> Change:
    return Change(0.1, (Movement(colour, 0.5, 0.5, to_x, to_y),))


@given(st.integers(1, 1000))
def test_number_of_faces(count: int) -> None:
    assert kind_of(faces_text(count)) is DetectionKind.FACES
    assert num_faces(faces_text(count)) == count


@given(st.lists(st.sampled_from(COLOURS), min_size=1, max_size=3, unique=True))
def test_main_colours(colours: list[str]) -> None:
    assert kind_of(colours_text(colours)) is DetectionKind.COLOURS
    assert num_faces(colours_text(colours)) == 0


@given(st.sampled_from(COLOURS), st.floats(0, 1), st.floats(0, 1))
def test_movement(colour: str, to_x: float, to_y: float) -> None:
    (text,) = change_texts(change(colour, to_x, to_y))
    assert kind_of(text) is DetectionKind.MOVEMENT
    assert named_colours(text) == [colour]


@pytest.mark.parametrize(
    ("to_x", "to_y", "direction"),
    [(0.9, 0.6, "to the right"), (0.1, 0.6, "to the left"), (0.6, 0.9, "down"), (0.6, 0.1, "up")],
)
def test_direction_of_a_movement(to_x: float, to_y: float, direction: str) -> None:
    assert change_texts(change("red", to_x, to_y)) == [f"something red moves {direction}"]


def test_change_of_the_whole_picture() -> None:
    (text,) = change_texts(Change(1.0, change("red", 0.9, 0.5).movements))
    assert kind_of(text) is DetectionKind.PICTURE_CHANGE
    assert change_texts(Change(0.0)) == []


@given(st.lists(st.tuples(PIECE, st.sampled_from(COLOURS)), min_size=1, max_size=4))
def test_column_of_text(pieces: list[tuple[str, str]]) -> None:
    column = [ScreenText(text, 0.4, 0.1, 0.6, 0.2) for text, _ in pieces]
    text = describe_column(column, [colour for _, colour in pieces])
    assert kind_of(text) is DetectionKind.TEXT
    read = read_column(text)
    assert read is not None
    assert (read.place, list(read.pieces)) == ("top middle", pieces)


def test_other_texts_have_no_kind() -> None:
    for text in (object_text("face", 2), "A man walks in.", ""):
        assert kind_of(text) is None
        assert read_column(text) is None
