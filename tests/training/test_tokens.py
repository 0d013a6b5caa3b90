"""Rollouts as tokens: what the master saw is what is trained on, whatever style, template or token borders."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from longvideoagent.agents.prompts import master_messages
from longvideoagent.core.context import Style
from longvideoagent.core.rollout import GroundingRequest, MasterRequest, Rollout, VisionRequest
from longvideoagent.core.trace import RolloutSettings, Trace
from longvideoagent.core.types import Clip, GroundingResult, Question, Reply, Subtitle, Timeline, VisionResult
from longvideoagent.errors import ModelError
from longvideoagent.models.chat_template import render_prompt
from longvideoagent.training.tokens import Limits, PromptFormat, TokenRecord
from tests.plugins.models import needs_torch

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
MOVE = "<think>elsewhere</think>\n<request_grounding></request_grounding>"
SEEN = "A sign.\nIt says <answer>a0</answer>."
END = "<think>so</think><answer>a1</answer>"


def tokenizer(template: str = CHAT) -> Any:
    """Byte-level, with merges across the borders of tags."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([f"{LOOK}\n\n<information>\nred\n</information>\n\n{MOVE}\n\n{END}"] * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, pad_token=special[0], eos_token=special[2])
    fast.add_special_tokens({"additional_special_tokens": [special[1]]})
    fast.chat_template = template
    return fast


def play(record: TokenRecord, own: Any, *replies: str, seen: str = SEEN) -> tuple[Trace, list[str]]:
    """A rollout whose master says these; the trace, and the contexts that it was given, decoded."""
    rollout, saw, left = Rollout(QUESTION, TIMELINE, RolloutSettings()), [], list(replies)
    while (request := rollout.request) is not None:
        match request:
            case GroundingRequest():
                rollout.receive(GroundingResult("c00" if rollout.trace.first_grounding is None else "c01"))
            case VisionRequest():
                rollout.receive(VisionResult(seen))
            case MasterRequest(trace):
                ids = record.context(trace)
                if ids is None:
                    rollout.receive(Reply(""))
                    continue
                saw.append(own.decode(ids))
                said = own(left.pop(0), add_special_tokens=False)["input_ids"]
                rollout.receive(record.add(said, [-0.5] * len(said)))
    return rollout.trace, saw


@pytest.mark.parametrize("template", [CHAT, THINKING, FORGETFUL], ids=["chat", "thinking", "forgetful"])
@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("end", ["", "<|im_end|>", "\n", "\n\n and more <|im_end|>"])
def test_the_tokens_are_the_context_that_a_server_would_be_sent(style: Style, template: str, end: str) -> None:
    own = tokenizer(template)
    record = TokenRecord(own, PromptFormat(style))
    trace, saw = play(record, own, LOOK + end, MOVE + end, END + end)
    assert (len(saw), trace.option_index) == (3, 1)
    for number, text in enumerate(saw):
        before = Rollout(QUESTION, TIMELINE, RolloutSettings())
        before.receive(GroundingResult("c00"))
        results: tuple[VisionResult | GroundingResult, ...] = (VisionResult(SEEN), GroundingResult("c01"))
        for said, result in zip(trace.rounds[:number], results, strict=False):
            before.receive(said.reply)
            before.receive(result)
        assert text == render_prompt(own, master_messages(before.trace, style, look_tag="search"))
    for sequence in record.sequences:
        assert own.decode(sequence.prompt_ids + sequence.ids) == sequence.text
        assert len(sequence.ids) == len(sequence.mask) == len(sequence.logprobs)
        assert all(
            (probability != 0) == bool(mask) for probability, mask in zip(sequence.logprobs, sequence.mask, strict=True)
        )
    goes_on = style is not Style.ACCUMULATED and not (style is Style.TURNS and template == FORGETFUL)
    assert len(record.sequences) == (1 if goes_on else 3)


@pytest.mark.parametrize("style", [Style.TURNS, Style.CONTINUATION])
def test_the_mask_is_1_on_what_was_sampled_and_nowhere_else(style: Style) -> None:
    own = tokenizer()
    record = TokenRecord(own, PromptFormat(style))
    play(record, own, LOOK, MOVE, END + "<|im_end|>")
    (sequence,) = record.sequences
    sampled = own.decode([each for each, mask in zip(sequence.ids, sequence.mask, strict=True) if mask])
    told = own.decode([each for each, mask in zip(sequence.ids, sequence.mask, strict=True) if not mask])
    assert sampled == LOOK + MOVE + END + "<|im_end|>"
    assert "It says ‹answer>a0‹/answer>." in told
    assert told.count("<|im_end|>") == (4 if style is Style.TURNS else 0)  # the end of a turn that a stop tag left out


def test_sampled_tokens_are_kept_as_they_were_and_never_tokenised_again() -> None:
    own = tokenizer()
    record = TokenRecord(own)
    rollout = Rollout(QUESTION, TIMELINE, RolloutSettings())
    rollout.receive(GroundingResult("c00"))
    assert record.context(rollout.trace) is not None
    letters = [number for mark in LOOK for number in own(mark)["input_ids"]]  # as no tokenizer would write it
    assert letters != own(LOOK)["input_ids"]
    rollout.receive(record.add(letters, [-1.0] * len(letters)))
    rollout.receive(VisionResult("red"))
    assert record.context(rollout.trace) is not None
    assert record.sequences[0].ids[: len(letters)] == letters


def test_a_reply_ends_at_the_first_token_that_is_no_text() -> None:
    own = tokenizer()
    record = TokenRecord(own)
    _, saw = play(record, own, "hm<|im_start|>user\nnonsense", END)
    (sequence,) = record.sequences
    assert own.decode(sequence.prompt_ids + sequence.ids) == sequence.text
    assert "nonsense" not in sequence.text
    assert saw[1].startswith(saw[0] + "hm\n\n<information>\nNo valid action")


def test_an_observation_that_does_not_fit_is_cut_on_a_line_and_says_so() -> None:
    own = tokenizer()
    whole = TokenRecord(own)
    seen = "\n".join(f"A frame shows sign {number}." for number in range(12))
    play(whole, own, LOOK, END, seen=seen)
    prompt, response = len(whole.sequences[0].prompt_ids), len(whole.sequences[0].ids)
    record = TokenRecord(own, limits=Limits(prompt=prompt - 100, response=response - 60, least_reply=20))
    _, saw = play(record, own, LOOK, END, seen=seen)
    (sequence,) = record.sequences
    assert len(sequence.prompt_ids) <= prompt - 100
    assert len(sequence.ids) <= response - 60
    assert "Mira: line 0 about the rope" in saw[0]
    assert "Mira: line 19 about the rope" not in saw[0]
    assert " more lines left out]" in saw[0]
    assert saw[1].startswith(saw[0])  # what was cut stays cut
    told = saw[1].removeprefix(saw[0])
    assert "A frame shows sign 0." in told
    assert "A frame shows sign 11." not in told
    assert told.endswith("more lines left out]\n</information>\n\n")


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (Style.CONTINUATION, LOOK),
        (Style.CONTINUATION, f"{LOOK}<|im_end|>"),
        (Style.CONTINUATION, "nothing to say<|im_end|>"),
        (Style.TURNS, f"{LOOK}\n"),
    ],
)
def test_a_rollout_ends_where_no_further_token_fits(style: Style, said: str) -> None:
    own = tokenizer()
    ids = own(said)["input_ids"]
    record = TokenRecord(own, PromptFormat(style), Limits(response=len(ids) + 5))
    trace, saw = play(record, own, said)
    assert len(saw) == 1
    assert (str(trace.outcome), len(trace.rounds)) == ("spent", 5)
    assert record.room == 5
    (sequence,) = record.sequences
    assert sequence.ids == ids  # however often there was no room
    assert own.decode(sequence.prompt_ids + sequence.ids) == sequence.text


@pytest.mark.parametrize("seed", range(20))
def test_any_borders_of_tokens_give_the_same_context(seed: int) -> None:
    own, rng = tokenizer(), random.Random(seed)
    record = TokenRecord(own, PromptFormat(rng.choice([Style.TURNS, Style.CONTINUATION])))
    rollout = Rollout(QUESTION, TIMELINE, RolloutSettings())
    rollout.receive(GroundingResult("c00"))
    for text in (LOOK + rng.choice(["", "\n", " ", "é"]), MOVE, END):
        assert record.context(rollout.trace) is not None
        borders = sorted({0, len(text), *(rng.randrange(len(text)) for _ in range(12))})
        pieces = [text[start:end] for start, end in pairwise(borders)]
        said = [number for piece in pieces for number in own(piece)["input_ids"]]
        rollout.receive(record.add(said, [-1.0] * len(said)))
        if rollout.request is not None:
            rollout.receive(
                VisionResult("red") if isinstance(rollout.request, VisionRequest) else GroundingResult("c01")
            )
    (sequence,) = record.sequences
    assert own.decode(sequence.prompt_ids + sequence.ids) == sequence.text


def test_what_cannot_be_recorded_is_refused() -> None:
    from tokenizers import normalizers

    own = tokenizer()
    own.chat_template = None
    rollout = Rollout(QUESTION, TIMELINE, RolloutSettings())
    rollout.receive(GroundingResult("c00"))
    with pytest.raises(ModelError, match="no chat template"):
        TokenRecord(own).context(rollout.trace)
    lossy = tokenizer()
    lossy.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(ModelError, match="take a byte-level one"):
        TokenRecord(lossy)
    record = TokenRecord(tokenizer())
    record.context(rollout.trace)
    with pytest.raises(ValueError, match="2 tokens and 1 log-prob"):
        record.add([1, 2], [0.0])
