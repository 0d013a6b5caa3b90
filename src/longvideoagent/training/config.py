"""What decides a training run, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from longvideoagent.agents.build import read_prompt
from longvideoagent.agents.config import parse_toml
from longvideoagent.core.context import Style
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.errors import DataError
from longvideoagent.models.spec import OFFLINE
from longvideoagent.training.reward import PRESETS, Weights
from longvideoagent.training.tokens import Limits, PromptFormat

Count = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0)]
C = TypeVar("C", bound="MasterConfig")
_DEFAULTS = Limits()

REINFORCEMENT: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "grpo": {"loss_type": "grpo", "beta": 0.001, "epsilon": 0.2, "num_generations": 8},
        "dapo": {"loss_type": "dapo", "beta": 0.0, "epsilon": 0.2, "epsilon_high": 0.28, "num_generations": 4},
    }
)
"""The paper's and the public code's algorithms, as TRL's configuration names their settings."""
COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "warmup_steps": 0.1,
        "lr_scheduler_type": "constant_with_warmup",  # TRL's own falls to 0, verl's does not
        "use_bias_correction_kl": False,  # the plain estimate, as verl's low_var_kl
        "mask_truncated_completions": False,  # a rollout ends at a tag, which TRL takes for one that was cut
    }
)
"""Settings of all of them. The learning rate rises in the first tenth of the steps and then stays."""
OVERLONG_SHARE = 0.2
"""The last share of the response's tokens, in which DAPO takes of the reward; the public code tells none."""
_OWNED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "output_dir": "out",
        "max_steps": "steps",
        "num_generations": "group",
        "per_device_train_batch_size": "at_once",
        "gradient_accumulation_steps": "batch",
        "generation_batch_size": "batch",
        "steps_per_generation": "batch",
        "max_completion_length": "limits",
        "vllm_max_model_length": "limits",
        "learning_rate": "learning_rate",
        "temperature": "temperature",
        "seed": "seed",
        "save_steps": "save_every",
        "use_vllm": "vllm_memory",
        "vllm_gpu_memory_utilization": "vllm_memory",
    }
)
"""Fields of TRL's, and those of a configuration here that decide them."""


class Lora(BaseModel):
    """Low-rank adapters (public code: rank 128, alpha 64)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Count = 128
    alpha: Count = 64
    modules: str | list[str] = "all-linear"


class TokenLimits(BaseModel):
    """See ``tokens.Limits``. A reply and a response have to have room for the least of a reply."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    prompt: Count = _DEFAULTS.prompt
    response: Count = _DEFAULTS.response
    reply: Count = _DEFAULTS.reply
    least_reply: Count = _DEFAULTS.least_reply

    @field_validator("least_reply")
    @classmethod
    def _fits(cls, least: int, told: ValidationInfo) -> int:
        for name in ("response", "reply"):
            if least > told.data.get(name, least):
                raise PydanticCustomError("no_room", f"{least} is more than limits.{name} {told.data[name]}")
        return least


class MasterConfig(BaseModel):
    """What both ways of training decide. Paths are as given to the shell; what is left out keeps the public code's
    value where it tells one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder, or the id, of a causal language model with a chat template."""
    out: Path
    style: Style = Style.CONTINUATION
    look_tag: Literal["visual_query", "search"] = "search"
    prompt_file: Path | None = None
    reward: str | dict[str, float] = "paper"
    """A preset of ``reward.PRESETS``, or the weights themselves."""
    limits: TokenLimits = TokenLimits()
    steps: Count = 401
    batch: Count = 16
    """Questions a step."""
    at_once: Count | None = None
    """Rollouts, or trajectories, that a device computes with at once: as many as its memory bears. None: a group of
    rollouts, or one trajectory."""
    learning_rate: Positive = 5e-6
    seed: int = 0
    save_every: Count = 50
    lora: Lora | None = None
    """None trains all weights."""
    trl: dict[str, Any] = {}
    """Further fields of TRL's own configuration, as it names them; not those that a field here decides."""

    @field_validator("trl")
    @classmethod
    def _is_said_once(cls, trl: dict[str, Any]) -> dict[str, Any]:
        for name in trl:
            own = _OWNED_FIELDS.get(name)
            if own in cls.model_fields:
                raise PydanticCustomError("said_elsewhere", f"{name} is what the field {own} decides")
        return trl

    @property
    def weights(self) -> Weights:
        """The rewards. Raises DataError for an unknown preset or weight."""
        if isinstance(self.reward, str):
            if self.reward not in PRESETS:
                raise DataError(f"reward: no preset {self.reward!r}; give {', '.join(PRESETS)} or a table of weights")
            return PRESETS[self.reward]
        known = Weights.__slots__
        unknown = [name for name in self.reward if name not in known]
        if unknown:
            raise DataError(f"reward.{unknown[0]}: no such weight; there are {', '.join(known)}")
        return Weights(**self.reward)

    @property
    def wording(self) -> PromptFormat:
        """How the master's context is written. Raises DataError where the prompt cannot be read."""
        return PromptFormat(self.style, read_prompt(self.prompt_file), self.look_tag)

    @property
    def token_limits(self) -> Limits:
        """What bounds a rollout's tokens."""
        return Limits(**self.limits.model_dump())


class TrainConfig(MasterConfig):
    """Reinforcement: rollouts of the questions in ``rows``."""

    data: Path
    """The folder of the data set that the rows were made of."""
    rows: Path
    """train.parquet, as ``lva data export`` writes it."""
    split: str = "train"
    held_out: Path | None = None
    """Rows of other episodes, val.parquet, that are asked before the first step, every ``held_out_every`` steps and
    after the last."""
    held_out_every: Count = 50
    team: str = OFFLINE
    """Whose grounding and vision agents the master calls."""
    max_rounds: Count = 5
    window: Count = 1
    group: Annotated[int | None, Field(ge=2)] = None
    """Rollouts of each question; None: the algorithm's own."""
    temperature: Positive = 1.0
    vllm_memory: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Share of the GPU's memory for a vLLM beside the trainer that samples; None: transformers samples."""

    @property
    def settings(self) -> RolloutSettings:
        """What bounds a rollout."""
        return RolloutSettings(self.max_rounds, self.window)


class SftConfig(MasterConfig):
    """Supervised fine-tuning on trajectories of a good team."""

    runs: Annotated[list[Path], Field(min_length=1)]
    """Folders of ``lva eval``."""
    only_right: bool = True
    """Whether trajectories that do not end with the right option are left out."""
    least_reward: float | None = None
    """Trajectories of less reward are left out as well; None: none are."""
    learning_rate: Positive = 1e-5
    optimizer: Literal["adamw", "muon"] = "adamw"
    """``muon`` for small models that begin from scratch, all of whose weights are trained."""

    @field_validator("optimizer")
    @classmethod
    def _trains_something(cls, optimizer: str, told: ValidationInfo) -> str:
        if optimizer == "muon" and told.data.get("lora") is not None:
            raise PydanticCustomError("trains_nothing", "muon trains no adapter, so leave [lora] out or take adamw")
        return optimizer


def read_config(path: Path, kind: type[C]) -> C:
    """Raises DataError, naming the file and the field, where it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path") from error
    return parse_toml(kind, text, str(path))
