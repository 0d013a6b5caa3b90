"""A tiny model of Qwen3's architecture and a tokenizer, made on the spot.

A model of 200,000 weights learns in minutes to read, if it need not find out first how to look back: the heads of its
first layer begin as ones that attend to the token before, or to the one before that. The rest is random.
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
STEPS_BACK = (1, 2)
"""Of the first layer's first heads."""
QUICKEST = 0.15
"""Only rotations of so many radians a token tell neighbours apart."""


def make_base(folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write model and tokenizer into ``folder``; ``texts`` are what it will read and write."""
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
    look_back(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level; each word that an episode is about is a token wherever it stands, and what lies between two of them
    is one or a few."""
    pools = (NAMES, WORDS, PLACES, ITEMS, THINGS, STATES, COLOUR_RGB, [means for means, _ in REASONS])
    words = sorted({word for pool in pools for word in pool}, key=lambda word: (-len(word), word))
    apart = Regex(rf"\b({'|'.join(words)}|a\d)\b|\d+|\n")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(apart, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, learner)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[2])
    fast.add_special_tokens({"additional_special_tokens": [SPECIAL[1]]})
    fast.chat_template = TEMPLATE
    return fast


@torch.no_grad()  # type: ignore[untyped-decorator]
def look_back(model: Qwen3ForCausalLM) -> None:
    """Have the first heads of the first layer attend to the token so many steps back: with the same query and key at
    every place, what is left of their product is the rotation by the distance, which is turned to be largest there."""
    model.model.embed_tokens.weight[:, 0] = 0.1  # large beside the random rest: the same at every place
    attention = model.model.layers[0].self_attn
    half = HEAD_WIDTH // 2
    turns = ROPE_THETA ** (-torch.arange(half) / half)
    used = (turns > QUICKEST).float()
    attention.q_norm.weight.fill_(2.0)
    attention.k_norm.weight.fill_(2.0)
    for head, steps in enumerate(STEPS_BACK):
        rows = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
        attention.q_proj.weight[rows, 1:] *= 0.2
        attention.k_proj.weight[rows, 1:] *= 0.2
        attention.q_proj.weight[rows, 0] = torch.cat(
            [torch.cos(turns * steps) * used, -torch.sin(turns * steps) * used]
        )
        attention.k_proj.weight[rows, 0] = torch.cat([used, torch.zeros(half)])
