"""The table of actions: complete, consistent, and read by parser and prompt."""

from __future__ import annotations

from typing import get_args

import pytest

from longvideoagent.core.actions import (
    ACTIONS,
    Action,
    Answer,
    Invalid,
    Look,
    Relocate,
    action_argument,
    action_named,
    action_of,
    offered_actions,
    render_action,
    spec_of,
)
from longvideoagent.core.protocol import parse


def test_actions_table_covers_every_action() -> None:
    assert {spec.type for spec in ACTIONS} == set(get_args(Action))


def test_actions_table_names_and_tags_are_unique() -> None:
    tags = [tag for spec in ACTIONS for tag in spec.tags]
    assert len(set(tags)) == len(tags)
    for field in ("name", "label", "icon", "count_name"):
        values = [getattr(spec, field) for spec in ACTIONS]
        assert len(set(values)) == len(values), field


@pytest.mark.parametrize("action", [Look("the sign"), Relocate(""), Relocate("later"), Answer("a1")])
def test_action_rendered_is_parsed_back(action: Action) -> None:
    assert parse(render_action(action)).action == action


@pytest.mark.parametrize("action", [Look("x"), Relocate("y"), Answer("z"), Invalid("w")])
def test_action_by_name_and_text(action: Action) -> None:
    assert action_named(spec_of(action).name, action_argument(action)) == action


def test_action_name_unknown() -> None:
    with pytest.raises(ValueError, match="look, relocate, answer, query_timeline, invalid"):
        action_named("nothing", "x")


def test_action_look_without_query_is_invalid() -> None:
    assert action_of("search", "") == Invalid("the query inside <search> is empty")


def test_action_invalid_cannot_be_rendered() -> None:
    with pytest.raises(ValueError, match="invalid"):
        render_action(Invalid("x"))


def test_offered_actions_follow_agents_and_look_tag() -> None:
    both = offered_actions(frozenset({"grounding", "vision"}), "search", "aX")
    assert [line.split(">")[0] for line in both] == ["<search", "<request_grounding", "<answer"]
    assert offered_actions(frozenset(), "search", "aX") == ("<answer>aX</answer> ends the task",)
