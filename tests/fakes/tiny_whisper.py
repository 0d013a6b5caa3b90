"""Write a tiny Whisper, in the format that faster-whisper loads, whose only output is "o" for as long as there is
speech. A script, for an environment with PyTorch and faster-whisper: ``tiny_whisper.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

END, START = "<|endoftext|>", "<|startoftranscript|>"
TASKS = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
SPECIAL = [END, START, "<|en|>", "<|de|>", *TASKS, *(f"<|{step * 0.02:.2f}|>" for step in range(1501))]
WIDTH = 64


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte tokenizer with the special tokens of a multilingual Whisper."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END, unk_token=END)


def make_model(tokenizer: PreTrainedTokenizerFast) -> WhisperForConditionalGeneration:
    """A model that gives the letter o by far the highest probability for any input, which is English."""
    start, end, letter, english = tokenizer.convert_tokens_to_ids([START, END, "o", "<|en|>"])
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        decoder_start_token_id=start,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    model = WhisperForConditionalGeneration(config)
    decoder = model.model.decoder
    with torch.no_grad():
        decoder.layer_norm.weight.zero_()
        decoder.layer_norm.bias.copy_(torch.ones(WIDTH) / 8)
        # Every other weight is 0: CTranslate2 quantises to 8 bits on its own, and CPUs without VNNI add two products in
        # 16 bits, which two products of the largest values overflow.
        decoder.embed_tokens.weight[letter] = torch.tensor([4.0, 0.0]).repeat(WIDTH // 2)
        decoder.embed_tokens.weight[english] = torch.tensor([1.0, 0.0]).repeat(WIDTH // 2)
    return model


def write_model(folder: str) -> None:
    """Make the model with transformers and convert it for CTranslate2."""
    tokenizer = make_tokenizer()
    with TemporaryDirectory() as scratch:
        for part in (tokenizer, make_model(tokenizer), WhisperFeatureExtractor()):
            part.save_pretrained(scratch)
        copied = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(scratch, copy_files=copied).convert(str(Path(folder)), force=True)


if __name__ == "__main__":
    write_model(sys.argv[1])
