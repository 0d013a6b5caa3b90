"""Writes a tiny model of the Qwen2.5 or Qwen3 architecture and a byte tokenizer into a folder, which ``transformers
serve`` can serve. Its weights are random, or trained here to give certain replies after certain endings of a prompt.
Run as a script, with PyTorch installed: ``tiny_model.py [--family FAMILY] FOLDER [ENDING REPLY]…``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PLAIN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


QWEN25_TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. "
    "You are a helpful assistant.<|im_end|>\n{% endif %}" + PLAIN_TEMPLATE
)
"""Qwen2.5-Instruct's chat template by its published description, without tools: a system message that says who it is,
unless there is another one."""
QWEN3_TEMPLATE = (
    "{% set last = namespace(user=-1) %}"
    "{% for message in messages %}{% if message.role == 'user' %}{% set last.user = loop.index0 %}{% endif %}"
    "{% endfor %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' and loop.index0 < last.user %}"
    "{{ message.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ message.content }}{% endif %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""Qwen3-4B-Thinking-2507's chat template by its published description, without tools: it opens a thought, and removes
the thoughts of replies before the last question."""
TEMPLATES = {"plain": PLAIN_TEMPLATE, "qwen2.5": QWEN25_TEMPLATE, "qwen3": QWEN3_TEMPLATE}


def write_model(folder: str, *replies: str, family: str = "plain") -> None:
    """About 50,000 parameters; ``replies`` are endings of prompts, each followed by its reply."""
    words = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[2])
    fast.add_special_tokens({"additional_special_tokens": [SPECIAL[1]]})
    fast.chat_template = TEMPLATES[family]
    torch.manual_seed(0)
    torch.set_num_threads(1)  # threads cost more than they save with matrices of this size
    shape = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "use_sliding_window": bool(replies),
        "sliding_window": 12 if replies else None,
        "layer_types": ["sliding_attention" if replies else "full_attention"] * 2,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 2,
    }
    is_qwen2 = family == "qwen2.5"
    model = Qwen2ForCausalLM(Qwen2Config(**shape)) if is_qwen2 else Qwen3ForCausalLM(Qwen3Config(head_dim=16, **shape))
    if replies:
        fit(model, fast, list(pairs(replies)))
    fast.save_pretrained(folder)
    model.save_pretrained(folder)


def pairs(replies: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of an ending and its reply."""
    return zip(replies[::2], replies[1::2], strict=True)


def fit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, examples: Sequence[tuple[str, str]]) -> None:
    """Train until the model gives each reply after its ending, whatever comes before. Its attention spans only a few
    tokens, so that long prompts do not distract it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    last_loss = [9.0] * len(examples)
    for step in range(1200):
        ending, reply = (tokenizer(text)["input_ids"] for text in examples[step % len(examples)])
        end = [tokenizer.eos_token_id]
        noise = torch.randint(3, len(tokenizer), (16, int(torch.randint(8, 40, ()))))
        rows = torch.cat([noise, torch.tensor([ending + reply + end]).expand(16, -1)], dim=1)
        labels = rows.clone()
        labels[:, : noise.shape[1] + len(ending)] = -100
        loss = model(input_ids=rows, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        last_loss[step % len(examples)] = loss.item()
        if max(last_loss) < 0.002:
            return
    raise AssertionError(f"the tiny model did not learn its replies (loss {max(last_loss):.3f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", choices=TEMPLATES, default="plain")
    parser.add_argument("folder")
    parser.add_argument("replies", nargs="*")
    arguments = parser.parse_args()
    write_model(arguments.folder, *arguments.replies, family=arguments.family)
