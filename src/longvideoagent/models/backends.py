"""The table of back ends: how a back end's model specs are written, how it is loaded, and what holds for its models.

A new back end is a row of ``BACKENDS`` and a file with its loader. A package of its own declares its row in the
entry-point group ``longvideoagent.backends``, as examples/backend_package does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from longvideoagent.errors import UsageError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

ENTRY_POINT_GROUP = "longvideoagent.backends"


@dataclass(frozen=True)
class Backend:
    """A row of the table. ``models.spec.ModelSpec`` says how its specs are written."""

    prefix: str
    """What its specs begin with; also the name of its entry point."""
    form: str
    """Its specs as help and error messages show them."""
    loader: str = ""
    """``module:function``, imported on first use: takes a ModelSpec and ModelOptions, returns a Model."""
    modules: tuple[str, ...] = ()
    """Modules that the loader imports and that may be missing; a spec with a URL does without them."""
    requirement: str = ""
    """The pip requirement that installs them."""
    has_name: bool = True
    """Whether its specs name a model."""
    is_name_optional: bool = False
    """Whether a spec may leave the name out: the server's first model is then used."""
    takes_url: bool = False
    """Whether its specs may end in ``@URL``."""
    url_env: str = ""
    """The environment variable with the server's URL, for specs without one."""
    default_url: str = ""
    """The server of specs without a URL."""
    key_env: str = ""
    """The environment variable with the key, unless a team file names another; empty: there is no key."""
    needs_key: bool = False
    """Whether the server at ``default_url`` needs the key."""
    example: str = ""
    """A model that takes text and images, for hints."""
    start: str = ""
    """The command that starts the server at ``default_url`` on this machine."""
    is_remote: bool = False
    """Whether its models run on a server: calls are then limited, and retried after passing failures."""
    is_cacheable: bool = False
    """Whether replies may be cached. A model in this process is not: its folder may hold other weights tomorrow."""
    cache_prefix: str | None = None
    """What the keys of its cached replies begin with; None: its prefix and a colon."""
    needs_price: bool = False
    """Whether its tokens may cost money, so that a limit in dollars needs a price."""
    calls_tools: bool = False
    """Whether the models at ``default_url`` take native tool calls, so that a master acts by them."""
    may_reason: bool = False
    """Whether its models may think before they reply, without being asked to: a reply then gets as many tokens as one
    of a reasoning model, since thoughts count."""


OFFLINE = "offline"
OPENAI_LOADER = "longvideoagent.models.openai:load_model"
ANTHROPIC_LOADER = "longvideoagent.models.anthropic:load_model"


def _provider(
    prefix: str, default_url: str, example: str, *, cache_prefix: str | None = None, calls_tools: bool = True
) -> Backend:
    """A row for a provider with OpenAI's chat completions at ``default_url``."""
    return Backend(
        prefix,
        f"{prefix}:NAME[@URL]",
        OPENAI_LOADER,
        takes_url=True,
        url_env="OPENAI_BASE_URL" if prefix == "openai" else "",
        default_url=default_url,
        key_env=f"{prefix.upper()}_API_KEY",
        needs_key=True,
        example=example,
        is_remote=True,
        is_cacheable=True,
        cache_prefix=cache_prefix,
        needs_price=True,
        calls_tools=calls_tools,
        may_reason=True,
    )


def _local_server(prefix: str, port: int, start: str, *, example: str = "", is_name_optional: bool) -> Backend:
    """A row for a server on this machine with OpenAI's chat completions."""
    name = "[NAME]" if is_name_optional else "NAME"
    return Backend(
        prefix,
        f"{prefix}:{name}[@URL]",
        OPENAI_LOADER,
        is_name_optional=is_name_optional,
        takes_url=True,
        default_url=f"http://127.0.0.1:{port}/v1",
        key_env=f"{prefix.upper()}_API_KEY",
        example=example,
        start=start,
        is_remote=True,
        is_cacheable=True,
        may_reason=True,
    )


BACKENDS = (
    Backend(OFFLINE, OFFLINE, has_name=False),  # the embedded agents, which use no chat model
    # Its replies were cached before there were other back ends, under keys without a prefix.
    _provider("openai", "https://api.openai.com/v1", "gpt-5-mini", cache_prefix=""),
    # Gemini 3 wants the signature of its thought back with each call, which a trace does not hold.
    _provider(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        calls_tools=False,
    ),
    replace(
        _provider("anthropic", "https://api.anthropic.com/v1", "claude-haiku-4-5"),
        loader=ANTHROPIC_LOADER,
    ),
    _provider("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-5-mini"),
    _provider("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen3-vl-plus"),
    _provider("xai", "https://api.x.ai/v1", "grok-4"),
    _local_server("ollama", 11434, "ollama serve", example="qwen2.5vl", is_name_optional=False),
    _local_server("lmstudio", 1234, "lms server start", is_name_optional=True),
    _local_server("llamacpp", 8080, "llama-server -m FILE.gguf", is_name_optional=True),
    Backend(
        "vllm",
        "vllm:PATH or vllm:URL",
        "longvideoagent.models.vllm:load_model",
        modules=("vllm",),
        requirement="longvideoagent[vllm]",
        is_name_optional=True,
        takes_url=True,
        key_env="VLLM_API_KEY",
        start="vllm serve MODEL",
    ),
    Backend(
        "transformers",
        "transformers:PATH",
        "longvideoagent.models.transformers:load_model",
        modules=("torch", "transformers"),
        requirement="longvideoagent[transformers]",
    ),
    Backend("scripted", "scripted:FILE", "longvideoagent.models.scripted:load_model"),
)


@cache
def find_backend(prefix: str) -> Backend | None:
    """The row with that prefix, of this package or of an installed one; None if there is none. Raises UsageError
    for an installed back end that cannot be used."""
    for row in BACKENDS:
        if row.prefix == prefix:
            return row
    entries = list(_installed().select(name=prefix))
    if not entries:
        return None
    if len({entry.value for entry in entries}) > 1:
        raise UsageError(f"{prefix}: {len(entries)} installed packages declare this back end; uninstall all but one")
    try:
        loaded = entries[0].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{prefix}: its package cannot be imported ({one_line(error)}); reinstall it") from error
    if not isinstance(loaded, Backend) or loaded.prefix != prefix:
        raise UsageError(f"{prefix}: {entries[0].value} is not a Backend with that prefix; update its package")
    return loaded


def spec_forms() -> str:
    """The forms of all specs, of installed packages too, for help and error messages."""
    installed = sorted(_installed().names)
    forms = [row.form for row in BACKENDS] + [f"{name}:…" for name in installed]
    return f"{', '.join(forms[:-1])} or {forms[-1]}"


def _installed() -> EntryPoints:
    """The entry points of back ends in installed packages."""
    from importlib.metadata import entry_points  # slow to import, and rarely needed

    return entry_points(group=ENTRY_POINT_GROUP)
