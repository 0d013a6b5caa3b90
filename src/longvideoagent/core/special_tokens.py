"""The special tokens of chat templates, as text: what would begin another turn, a tool call or an image.

Servers tokenize a prompt with them, so that data which holds such a text would act as the token. They are collected
from the tokenizers and model cards of the families named here.
"""

from __future__ import annotations

# Each list has what follows the first character of a token, which is replaced to make it plain text.
_AFTER_ANGLE = (
    r"[|｜]",  # ChatML (Qwen, InternVL), Llama 3, Phi, GLM, Cohere, DeepSeek, Kimi, Granite, gpt-oss, Gemma 4
    r"\w{1,30}\|>",  # Gemma 4: <turn|>
    r"/?(?:s|unk|pad|bos|eos|mask|cls|sep|sop|eop|escape)>",  # Llama 2, Mistral, Gemma, GLM
    r"(?:bos|eos|eop|mask)_token>",  # Cohere
    r"</?sys>>",  # Llama 2
    r"(?:start|end|begin|beginning)_of_\w{1,30}>",  # Gemma, MiniMax, Idefics
    r"(?:start|end)_function_\w{1,30}>",  # FunctionGemma
    r"(?:unused|reserved_|extra_id_|special_)\d{1,5}>",  # Gemma, Baichuan, Nemotron
    r"(?:image|audio|video)_soft_token>",  # Gemma
    r"/?(?:tools?|tool_calls?|toolcall|tool_response|available_tools|function_calls?|arg_key|arg_value|role)>",
    r"/?(?:function|parameter|invoke)[=\s>]",  # Qwen's and Anthropic's tool calls
    r"/?(?:img|image|video|audio|ref|box|quad|slice|unit|image_id|img_context|fake_token_around_image|global-img)>",
    r"/?(?:im|fim)_(?:start|end|patch|prefix|middle|suffix|pad)>",  # InternLM, Molmo, StarCoder
    r"/?co: ?\d",  # Cohere's citations
    r"/?(?:minimax|seed):\w",
    r"\[?(?:begin|end)[▁_ ]of[▁_ ]",
)
_AFTER_BRACKET = (
    r"/?think\]",  # Magistral
    r"/?(?:inst|system_prompt|available_tools|tool_results|tool_calls|tool_content|model_settings|args|call_id)\]",
    r"(?:img|img_break|img_end|audio|begin_audio|transcribe|prefix|middle|suffix)\]",  # Mistral
    r"[gs]?mask\]|(?:bos|eos|eot|eod|pad|unk|cls|sep)\]",  # GLM, Kimi, Exaone
    r"\|\w{1,30}\|\]",  # Exaone
    r"e~\[",  # MiniMax
)
_AFTER_CLOSING_BRACKET = (r"~!?b[\[\]]|![pd]~\[|<\][^\[\]\n]{1,40}\[>\[",)  # MiniMax
SPECIAL_TOKENS = "|".join(
    f"{first}(?={'|'.join(following)})"
    for first, following in (
        ("<", _AFTER_ANGLE),
        (r"\[", _AFTER_BRACKET),
        (r"\]", _AFTER_CLOSING_BRACKET),
        ("◁", (r"/?\w{1,30}▷",)),  # Kimi-VL
    )
)
"""Matches the first character of a token; without regard to case."""
PLAIN_BRACKET = "‹"
"""What replaces that character."""
