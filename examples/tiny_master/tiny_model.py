"""A tiny model of Qwen3's architecture with its tokenizer.

A model of 200,000 weights learns to read in minutes if it does not have to discover attention to previous tokens: two
heads of its first layer are initialized to attend one and two tokens back. All other weights are random.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from longvideoagent.datasets.synthetic.scenario import COLOUR_RGB, ITEMS, NAMES, PLACES, REASONS, STATES, THINGS, WORDS

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 2000
WIDTH, LAYERS, HEADS, HEAD_WIDTH = 64, 2, 4, 32
ROPE_THETA = 1000.0
OFFSETS = (1, 2)
"""How many tokens back the first heads of the first layer attend."""
MIN_ROTATION = 0.15
"""Radians per token; slower rotations hardly distinguish neighbouring tokens."""


def write_tiny_model(folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write model and tokenizer into ``folder``. ``texts`` train the tokenizer: they are what the model will read and
    write."""
    tokenizer = make_tokenizer(texts)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD_WIDTH,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    model = Qwen3ForCausalLM(config)
    attend_back(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer in which each content word of an episode is one token everywhere, and the text between two
    of them is one or a few."""
    pools = (NAMES, WORDS, PLACES, ITEMS, THINGS, STATES, COLOUR_RGB, [reason for reason, _ in REASONS])
    words = sorted({word for pool in pools for word in pool}, key=lambda word: (-len(word), word))
    word = Regex(rf"\b({'|'.join(words)}|a\d)\b|\d+|\n")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(word, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[2])
    fast.add_special_tokens({"additional_special_tokens": [SPECIAL[1]]})
    fast.chat_template = TEMPLATE
    return fast


@torch.no_grad()  # type: ignore[untyped-decorator]
def attend_back(model: Qwen3ForCausalLM) -> None:
    """Initialize the first heads of the first layer to attend ``OFFSETS`` tokens back. Query and key are made the same
    at every position, so that their product depends on the rotary embedding of the distance only; the query is rotated
    so that the product is largest at the offset."""
    model.model.embed_tokens.weight[:, 0] = 0.1  # large next to the random weights, and the same for every token
    attention = model.model.layers[0].self_attn
    half = HEAD_WIDTH // 2
    rotations = ROPE_THETA ** (-torch.arange(half) / half)
    used = (rotations > MIN_ROTATION).float()
    attention.q_norm.weight.fill_(2.0)
    attention.k_norm.weight.fill_(2.0)
    for head, offset in enumerate(OFFSETS):
        rows = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
        attention.q_proj.weight[rows, 1:] *= 0.2
        attention.k_proj.weight[rows, 1:] *= 0.2
        attention.q_proj.weight[rows, 0] = torch.cat(
            [torch.cos(rotations * offset) * used, -torch.sin(rotations * offset) * used]
        )
        attention.k_proj.weight[rows, 0] = torch.cat([used, torch.zeros(half)])
