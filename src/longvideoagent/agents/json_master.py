"""A master that writes each action as one JSON object, for servers that sample under a JSON schema.

Small models often break the tag language: they leave a tag open, or write an observation themselves. Under the schema
every reply is an action. vLLM, SGLang, llama.cpp, Ollama, LM Studio and most providers take one; elsewhere the prompt
alone asks for the form. At the model's border the object becomes tags, so that traces do not differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from longvideoagent.agents.master import ModelMaster
from longvideoagent.agents.prompts import default_layout
from longvideoagent.core.actions import Tool, offered_tools
from longvideoagent.core.context import answer_form
from longvideoagent.core.layout import tool_layout
from longvideoagent.core.protocol import ANSWER_TAG
from longvideoagent.core.reasoning import TEMPLATE_TAG
from longvideoagent.core.trace import Agents, Trace
from longvideoagent.core.types import Message, Reply
from longvideoagent.models.base import DEFAULT_CALL_SETTINGS, CallSettings, Model, TextCallback
from longvideoagent.models.openai_tools import REASON, ToolCall, call_of, reply_with_tags

TOOL, ARGUMENT = "tool", "argument"
FIELDS = (REASON, TOOL, ARGUMENT)
"""The fields of the object, in the order in which they are written: the reason comes before the choice."""
_JSON = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class JsonMaster:
    """The master ``tag_master``, which writes JSON objects in place of tags. Its traces are the same."""

    tag_master: ModelMaster

    async def reply(self, trace: Trace) -> Reply:
        """Return the model's next reply, in tags. A master without agents only answers: it writes tags. Raises
        ModelError without a reply."""
        settings = trace.settings
        if settings.agents is Agents.NONE:
            return await self.tag_master.reply(trace)
        form = answer_form(trace.question)
        tools = offered_tools(settings.agents.names, form, has_timeline_tools=settings.timeline_tools)
        layout = tool_layout(self.tag_master.layout or default_layout())
        master = replace(
            self.tag_master,
            model=_JsonModel(self.tag_master.model, tools),
            layout=replace(layout, prompt_end=f"{layout.prompt_end}\n\n{form_of(tools, _answer_names(trace))}"),
            settings=replace(self.tag_master.settings, stop_at_action=False, json_schema=action_schema(tools, trace)),
        )
        return await master.reply(trace)


def _answer_names(trace: Trace) -> list[str]:
    """How an object names the answer: with its option, so that a schema allows no other one."""
    return [f"{ANSWER_TAG} a{index}" for index in range(len(trace.question.options))] or [ANSWER_TAG]


def form_of(tools: Sequence[Tool], answer_names: Sequence[str]) -> str:
    """How a reply must look, as the end of the prompt describes it."""
    lines = [f"- {tool.name}: {tool.description[:1].lower()}{tool.description[1:]}" for tool in tools]
    arguments = [f"  {ARGUMENT}: {tool.argument_description or 'may be empty'}" for tool in tools]
    listed = [part for pair in zip(lines, arguments, strict=True) for part in pair]
    example = json.dumps(
        {REASON: "why, in one or two sentences", TOOL: tools[0].name, ARGUMENT: "…"}, ensure_ascii=False
    )
    if len(answer_names) > 1:
        listed.append(f"  An answer names its option as the tool: {', '.join(answer_names)}.")
    return "\n".join(["Call a tool by writing one JSON object and nothing else:", example, "The tools are:", *listed])


def action_schema(tools: Sequence[Tool], trace: Trace) -> Mapping[str, Any]:
    """The JSON schema of a reply, in which an answer is one of the options if there are any; in the last round an
    answer."""
    others = [] if trace.is_last_round else [tool.name for tool in tools if tool.name != ANSWER_TAG]
    names = {"type": "string", "enum": [*others, *_answer_names(trace)]}
    properties = {REASON: {"type": "string"}, TOOL: names, ARGUMENT: {"type": "string"}}
    return {"type": "object", "properties": properties, "required": list(FIELDS), "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class _JsonModel:
    """A model that reads and writes objects where its caller reads and writes tags."""

    model: Model
    tools: tuple[Tool, ...]

    async def complete(
        self,
        messages: Sequence[Message],
        settings: CallSettings = DEFAULT_CALL_SETTINGS,
        on_text: TextCallback | None = None,
    ) -> Reply:
        """The reply to messages. Raises ModelError without one."""

        def on_object(text: str) -> None:
            if on_text is not None and (written := tags_of(text, self.tools, is_partial=True)) is not None:
                on_text(written)

        chat = [_with_object(message, self.tools) for message in messages]
        reply = await self.model.complete(chat, settings, None if on_text is None else on_object)
        written = tags_of(reply.text, self.tools, is_cut=reply.is_truncated)
        return reply if written is None else replace(reply, text=written, is_truncated=False)

    async def close(self) -> None:
        """Close the model."""
        await self.model.close()


def _with_object(message: Message, tools: tuple[Tool, ...]) -> Message:
    """The message; an action of the assistant is an object."""
    if message["role"] == "user" or (call := call_of(str(message["content"]), tools)) is None:
        return message
    arguments = json.loads(call["arguments"])
    tool = next(tool for tool in tools if tool.name == call["name"])
    values = {REASON: arguments[REASON], TOOL: tool.name, ARGUMENT: arguments[tool.argument]}
    return Message(role="assistant", content=to_json(values).decode())


def tags_of(text: str, tools: Sequence[Tool], *, is_partial: bool = False, is_cut: bool = False) -> str | None:
    """The reply in tags that an object stands for.

    Args:
        text: What the model wrote: thoughts in tags, then the object, and perhaps more behind it.
        tools: The tools that were offered.
        is_partial: Whether more of the object follows, so that its tag stays open.
        is_cut: Whether a limit ended the reply. An object that was cut in its argument counts, as small models never
            end some texts, unless the argument is the answer itself.

    Returns:
        The reply; None if no such object is in the text.
    """
    start = _object_start(text)
    value = _read_object(text, start, is_partial=is_partial, is_cut=is_cut)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return None
    name, _, option = value.get(TOOL, "").partition(" ")
    tool = next((tool for tool in tools if tool.name == name and (not option or name == ANSWER_TAG)), None)
    argument = {} if tool is None or not (option or ARGUMENT in value) else {tool.argument: option or value[ARGUMENT]}
    if not is_partial and not argument:
        return None
    call = ToolCall(tool.name if tool else "", to_json({REASON: value.get(REASON, ""), **argument}).decode())
    return reply_with_tags(text[:start], call, tools, is_partial=is_partial)


def _read_object(text: str, start: int, *, is_partial: bool, is_cut: bool) -> Any:
    """The object that begins there; None if it is not one, or was cut before what it chooses is complete."""
    with suppress(ValueError, RecursionError):
        if not is_partial:
            return _JSON.raw_decode(text, start)[0]
    if not is_partial and not is_cut:
        return None
    with suppress(ValueError, RecursionError):
        value = from_json(text[start:], allow_partial="trailing-strings")
        has_choice = isinstance(value, dict) and list(value)[-1:] == [ARGUMENT] and value.get(TOOL) != ANSWER_TAG
        return value if is_partial or has_choice else None
    return None


def _object_start(text: str) -> int:
    """Where the first object begins that is not part of a thought; the end of the text if none does."""
    thought_end = text.find(f"</{TEMPLATE_TAG}>")
    start = text.find("{")
    if text.lstrip().startswith(f"<{TEMPLATE_TAG}>") or start > thought_end >= 0:
        start = text.find("{", max(0, thought_end))
    return len(text) if start < 0 else start
