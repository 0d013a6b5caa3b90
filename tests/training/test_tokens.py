"""Rollouts as tokens: training sees what the master read, for every style, template and token boundary."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any, assert_never

import pytest

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.context import Style
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout, TimelineRequest, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import (
    Clip,
    ClipObservation,
    GroundingResult,
    Question,
    Reply,
    Subtitle,
    Timeline,
    VisionResult,
)
from longvideoagent.errors import ModelError
from longvideoagent.index.query import query_timeline
from longvideoagent.models.chat_template import render_prompt
from longvideoagent.training.tokens import PromptFormat, TokenRecord, TokenSequence, truncate_observation
from tests.plugins.models import needs_torch
from tests.plugins.trl import limits

pytestmark = needs_torch

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = CHAT.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n")
FORGETFUL = CHAT.replace("{{ message.content }}", "{{ message.content.split('</think>')[-1] }}")
LINES = tuple(Subtitle(2.0 * number, 2.0 * number + 1, f"Mira: line {number} about the rope") for number in range(20))
TIMELINE = Timeline((Clip("c00", 0, 60, LINES), Clip("c01", 60, 120, ())))
QUESTION = Question("What is red?", ("the <answer>a1</answer> sign", "the rope"), "q1")
LOOK = "<think>hm</think><search>the sign</search>"
RELOCATE = "<think>elsewhere</think>\n<request_grounding></request_grounding>"
OBSERVATION = "A sign.\nIt says <answer>a0</answer>."
ANSWER = "<think>so</think><answer>a1</answer>"


def make_tokenizer(template: str = CHAT) -> Any:
    """Byte-level, with merges across the boundaries of tags."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([f"{LOOK}\n\n<information>\nred\n</information>\n\n{RELOCATE}\n\n{ANSWER}"] * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=special[0], eos_token=special[2])
    fast.add_special_tokens({"additional_special_tokens": [special[1]]})
    fast.chat_template = template
    return fast


def roll_out(
    record: TokenRecord, tokenizer: Any, *replies: str, observation: str = OBSERVATION
) -> tuple[Trace, list[str]]:
    """A rollout with these replies: its trace, and the master's contexts, decoded."""
    rollout, contexts, left = Rollout(QUESTION, TIMELINE, RolloutSettings()), [], list(replies)
    while (request := rollout.request) is not None:
        match request:
            case GroundingRequest():
                rollout.receive(GroundingResult("c00" if rollout.trace.first_grounding is None else "c01"))
            case VisionRequest():
                rollout.receive(VisionResult(observation))
            case MasterRequest(trace):
                ids = record.context(trace)
                if ids is None:
                    rollout.receive(Reply(""))
                    continue
                contexts.append(tokenizer.decode(ids))
                reply = tokenizer(left.pop(0), add_special_tokens=False)["input_ids"]
                rollout.receive(record.add_reply(reply, [-0.5] * len(reply)))
            case TimelineRequest(query, timeline):
                rollout.receive(query_timeline(query, timeline))
            case _:
                assert_never(request)
    return rollout.trace, contexts


def grounded_rollout() -> Rollout:
    """A rollout that waits for its master's first reply."""
    rollout = Rollout(QUESTION, TIMELINE, RolloutSettings())
    rollout.receive(GroundingResult("c00"))
    return rollout


def decode_sequence(tokenizer: Any, sequence: TokenSequence) -> str:
    text: str = tokenizer.decode(sequence.prompt_ids + sequence.ids)
    return text


@pytest.mark.parametrize("template", [CHAT, THINKING, FORGETFUL], ids=["chat", "thinking", "forgetful"])
@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("end", ["", "<|im_end|>", "\n", "\n\n and more <|im_end|>"])
def test_tokens_equal_server_context(style: Style, template: str, end: str) -> None:
    tokenizer = make_tokenizer(template)
    record = TokenRecord(tokenizer, PromptFormat(style))
    trace, contexts = roll_out(record, tokenizer, LOOK + end, RELOCATE + end, ANSWER + end)
    assert (len(contexts), trace.option_index) == (3, 1)
    for number, context in enumerate(contexts):
        before = grounded_rollout()
        results: tuple[VisionResult | GroundingResult, ...] = (VisionResult(OBSERVATION), GroundingResult("c01"))
        for round_, result in zip(trace.rounds[:number], results, strict=False):
            before.receive(round_.reply)
            before.receive(result)
        chat = master_messages(before.trace, style, look_tag="search")
        assert context == render_prompt(tokenizer, chat, "$prompt" if style is Style.RAW else None)
    for sequence in record.sequences:
        assert decode_sequence(tokenizer, sequence) == sequence.text
        assert len(sequence.ids) == len(sequence.mask) == len(sequence.logprobs)
        assert all((logprob != 0) == bool(mask) for logprob, mask in zip(sequence.logprobs, sequence.mask, strict=True))
    is_one_sequence = style not in (Style.ACCUMULATED, Style.RAW) and not (
        style is Style.TURNS and template == FORGETFUL
    )
    assert len(record.sequences) == (1 if is_one_sequence else 3)


@pytest.mark.parametrize("style", [Style.TURNS, Style.CONTINUATION])
def test_tokens_mask_marks_sampled(style: Style) -> None:
    tokenizer = make_tokenizer()
    record = TokenRecord(tokenizer, PromptFormat(style))
    roll_out(record, tokenizer, LOOK, RELOCATE, ANSWER + "<|im_end|>")
    (sequence,) = record.sequences
    sampled = tokenizer.decode([token for token, mask in zip(sequence.ids, sequence.mask, strict=True) if mask])
    context = tokenizer.decode([token for token, mask in zip(sequence.ids, sequence.mask, strict=True) if not mask])
    assert sampled == LOOK + RELOCATE + ANSWER + "<|im_end|>"
    assert "It says ‹answer>a0‹/answer>." in context
    # Replies that stop at a tag have no end of turn of their own.
    assert context.count("<|im_end|>") == (4 if style is Style.TURNS else 0)


def test_tokens_never_tokenized_again() -> None:
    tokenizer = make_tokenizer()
    record = TokenRecord(tokenizer)
    rollout = grounded_rollout()
    assert record.context(rollout.trace) is not None
    letters = [token for letter in LOOK for token in tokenizer(letter)["input_ids"]]  # unlike the tokenizer's own
    assert letters != tokenizer(LOOK)["input_ids"]
    rollout.receive(record.add_reply(letters, [-1.0] * len(letters)))
    rollout.receive(VisionResult("red"))
    assert record.context(rollout.trace) is not None
    assert record.sequences[0].ids[: len(letters)] == letters


def test_tokens_reply_ends_at_special_token() -> None:
    tokenizer = make_tokenizer()
    record = TokenRecord(tokenizer)
    _, contexts = roll_out(record, tokenizer, "hm<|im_start|>user\nnonsense", ANSWER)
    (sequence,) = record.sequences
    assert decode_sequence(tokenizer, sequence) == sequence.text
    assert "nonsense" not in sequence.text
    assert contexts[1].startswith(contexts[0] + "hm\n\n<information>\nNo valid action")


def test_tokens_observation_truncated_at_line() -> None:
    tokenizer = make_tokenizer()
    full = TokenRecord(tokenizer)
    observation = "\n".join(f"A frame shows sign {number}." for number in range(12))
    roll_out(full, tokenizer, LOOK, ANSWER, observation=observation)
    max_prompt, max_response = len(full.sequences[0].prompt_ids) - 100, len(full.sequences[0].ids) - 60
    record = TokenRecord(tokenizer, limits=limits(prompt=max_prompt, response=max_response, reply=1024, min_reply=20))
    _, contexts = roll_out(record, tokenizer, LOOK, ANSWER, observation=observation)
    (sequence,) = record.sequences
    assert len(sequence.prompt_ids) <= max_prompt
    assert len(sequence.ids) <= max_response
    assert "Mira: line 0 about the rope" in contexts[0]
    assert "Mira: line 19 about the rope" not in contexts[0]
    assert " more lines left out]" in contexts[0]
    assert contexts[1].startswith(contexts[0])  # what was truncated stays truncated
    rest = contexts[1].removeprefix(contexts[0])
    assert "A frame shows sign 0." in rest
    assert "A frame shows sign 11." not in rest
    assert rest.endswith("more lines left out]\n</information>\n\n")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_truncate_clips_one_mark(count: int) -> None:
    clips = (Clip("c00", 0, 60, LINES[:2]), Clip("c01", 60, 120, LINES[2:4]), Clip("c02", 120, 180, ()))
    truncated = truncate_observation(ClipObservation(clips[0], clips), count)
    texts = [line.text for clip in truncated.window for line in clip.subtitles]
    expected = [line.text for line in LINES[: min(count, 4)]]
    assert texts == expected + ([f"[{4 - count} more lines left out]"] if count < 4 else [])


@pytest.mark.parametrize(
    ("style", "reply"),
    [
        (Style.CONTINUATION, LOOK),
        (Style.CONTINUATION, f"{LOOK}<|im_end|>"),
        (Style.CONTINUATION, "nothing to say<|im_end|>"),
        (Style.TURNS, f"{LOOK}\n"),
    ],
)
def test_tokens_no_room_ends_rollout(style: Style, reply: str) -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer(reply)["input_ids"]
    own = limits(prompt=12_000, response=len(ids) + 5, reply=1024, min_reply=len(ids))
    record = TokenRecord(tokenizer, PromptFormat(style), own)
    trace, contexts = roll_out(record, tokenizer, reply)
    assert len(contexts) == 1
    assert (str(trace.outcome), len(trace.rounds)) == ("spent", 5)
    assert record.max_new_tokens == 5
    (sequence,) = record.sequences
    assert sequence.ids == ids  # however often there was no room
    assert decode_sequence(tokenizer, sequence) == sequence.text


@pytest.mark.parametrize("seed", range(20))
def test_tokens_any_boundaries(seed: int) -> None:
    tokenizer, rng = make_tokenizer(), random.Random(seed)
    record = TokenRecord(tokenizer, PromptFormat(rng.choice([Style.TURNS, Style.CONTINUATION])))
    rollout = grounded_rollout()
    for text in (LOOK + rng.choice(["", "\n", " ", "é"]), RELOCATE, ANSWER):
        assert record.context(rollout.trace) is not None
        borders = sorted({0, len(text), *(rng.randrange(len(text)) for _ in range(12))})
        pieces = [text[start:end] for start, end in pairwise(borders)]
        reply = [token for piece in pieces for token in tokenizer(piece)["input_ids"]]
        rollout.receive(record.add_reply(reply, [-1.0] * len(reply)))
        if rollout.request is not None:
            is_look = isinstance(rollout.request, VisionRequest)
            rollout.receive(VisionResult("red") if is_look else GroundingResult("c01"))
    (sequence,) = record.sequences
    assert decode_sequence(tokenizer, sequence) == sequence.text


def test_tokens_refusals() -> None:
    from tokenizers import normalizers

    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    rollout = grounded_rollout()
    with pytest.raises(ModelError, match="no chat template"):
        TokenRecord(tokenizer).context(rollout.trace)
    lossy = make_tokenizer()
    lossy.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(ModelError, match="use a byte-level tokenizer"):
        TokenRecord(lossy)
    record = TokenRecord(make_tokenizer())
    record.context(rollout.trace)
    with pytest.raises(ValueError, match="2 tokens and 1 log-prob"):
        record.add_reply([1, 2], [0.0])
