"""Configuration of a training run, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.prompts.config import PromptConfig
from longvideoagent.agents.team_file import load_team_config, validate_toml
from longvideoagent.core.actions import PUBLIC_CODE_LOOK_TAG, LookTag
from longvideoagent.core.context import Style
from longvideoagent.core.limits import DEFAULT_MAX_ROUNDS
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.datasets.base import DatasetOptions
from longvideoagent.errors import DataError
from longvideoagent.models.backends import OFFLINE
from longvideoagent.models.base import Count
from longvideoagent.training.reward import REWARD_PRESETS, RewardWeights
from longvideoagent.training.tokens import PromptFormat, TokenLimits

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
ConfigT = TypeVar("ConfigT", bound="TrainingConfig")

OVERLONG_FRACTION = 0.2
"""The last fraction of the response limit in which DAPO's overlong penalty grows, unless overlong_buffer_tokens says
otherwise."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm of reinforcement learning."""

    trl_fields: Mapping[str, Any]
    """Fields of TRL's GRPOConfig."""
    drops_equal_groups: bool = False
    """Whether groups with equal rewards are left out of the loss."""
    overlong_fraction: float = 0.0
    """The last fraction of the response limit in which the overlong penalty grows; 0: no penalty."""


ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "grpo": Algorithm({"loss_type": "grpo", "beta": 0.001, "epsilon": 0.2, "num_generations": 8}),
        "dapo": Algorithm(
            {"loss_type": "dapo", "beta": 0.0, "epsilon": 0.2, "epsilon_high": 0.28, "num_generations": 4},
            drops_equal_groups=True,
            overlong_fraction=OVERLONG_FRACTION,
        ),
    }
)
"""The algorithms of the paper (GRPO) and of the public code (DAPO)."""
SFT = "sft"
"""The name of supervised fine-tuning among the algorithms of ``lva train``."""
COMMON_TRL_FIELDS: Mapping[str, Any] = MappingProxyType(
    {
        "warmup_steps": 0.1,  # a fraction of max_steps
        "lr_scheduler_type": "constant_with_warmup",  # TRL's default decays to 0, verl's does not
        "use_bias_correction_kl": False,  # the plain estimator, as verl's low_var_kl
        "mask_truncated_completions": False,  # a rollout ends at a tag, which TRL takes for a truncation
    }
)
"""GRPOConfig fields that all algorithms share."""
_OWNED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "output_dir": "out",
        "max_steps": "max_steps",
        "num_generations": "num_generations",
        "per_device_train_batch_size": "per_device_batch_size",
        "gradient_accumulation_steps": "questions_per_step",
        "generation_batch_size": "updates_per_batch",
        "max_completion_length": "limits",
        "vllm_max_model_length": "limits",
        "learning_rate": "learning_rate",
        "temperature": "temperature",
        "steps_per_generation": "updates_per_batch",
        "seed": "seed",
        "save_steps": "save_steps",
        "use_vllm": "vllm_gpu_memory_utilization",
        "vllm_gpu_memory_utilization": "vllm_gpu_memory_utilization",
    }
)
"""TRL's fields that may not be in ``[trl]`` -> the field of this configuration that sets them."""


class Lora(BaseModel):
    """Low-rank adapters (public code: rank 128, alpha 64)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Count = 128
    alpha: Count = 64
    target_modules: str | list[str] = "all-linear"


class TrainingConfig(PromptConfig):
    """Fields that reinforcement learning and supervised fine-tuning share. Relative paths start at the working
    directory. Defaults are those of the public code where it gives one."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    _owned_fields: ClassVar[Mapping[str, str]] = _OWNED_FIELDS

    model: str
    """Folder or hub id of a causal language model with a chat template."""
    out: Path
    """The run folder."""
    style: Style = Style.CONTINUATION
    look_tag: LookTag = PUBLIC_CODE_LOOK_TAG
    reward: str | dict[str, float] = "paper"
    """A preset of ``reward.REWARD_PRESETS``, or the weights themselves."""
    limits: TokenLimits = TokenLimits()
    max_steps: Count = 401
    per_device_batch_size: Count | None = None
    """Sequences of one forward pass on each device. None: one group of rollouts (RL) or one sequence (SFT)."""
    learning_rate: PositiveFloat = 5e-6
    seed: int = 0
    save_steps: Count = 50
    """Steps between two checkpoints."""
    lora: Lora | None = None
    """None trains all weights."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Further fields of TRL's own configuration; not those that a field here sets."""

    @field_validator("trl")
    @classmethod
    def _check_owned_fields(cls, trl: dict[str, Any]) -> dict[str, Any]:
        for name in trl:
            own = cls._owned_fields.get(name)
            if own in cls.model_fields:
                raise PydanticCustomError("owned_field", f"{name} is set by the field {own}")
        return trl

    @property
    def weights(self) -> RewardWeights:
        """The reward's weights. Raises DataError for an unknown preset or weight."""
        if isinstance(self.reward, str):
            if self.reward not in REWARD_PRESETS:
                presets = ", ".join(REWARD_PRESETS)
                raise DataError(f"reward: no preset {self.reward!r}; give {presets} or a table of weights")
            return REWARD_PRESETS[self.reward]
        known = RewardWeights.__slots__
        unknown = [name for name in self.reward if name not in known]
        if unknown:
            raise DataError(f"reward.{unknown[0]}: no such weight; there are {', '.join(known)}")
        return RewardWeights(**self.reward)

    @property
    def prompt_format(self) -> PromptFormat:
        """How the master's context is written and its replies are read. Raises DataError for a file that cannot be
        used."""
        return PromptFormat(self.style, self.read_layout(), self.look_tag, self.actions_anywhere)


class RLConfig(TrainingConfig):
    """Reinforcement learning on rollouts of the questions in ``rows``."""

    data: Path
    """The data set that the rows were exported from."""
    rows: Path
    """train.parquet of ``lva data export``."""
    split: str = "train"
    data_set: str | None = None
    """Which set to read if the folder has several, such as ``longtvqa-plus``."""
    subtitles: Path | None = None
    """The subtitles by clip or by episode, if they have another name or place."""
    encoding: str | None = None
    """The encoding of the subtitle files of videos, as Python names it; None: recognised."""
    eval_rows: Path | None = None
    """Rows of other videos (val.parquet), evaluated before the first step, every ``eval_steps`` and after the last."""
    eval_steps: Count = 50
    team: str = OFFLINE
    """The team whose grounding and vision agents the master calls."""
    grounding: str | None = None
    """The model spec of the grounding agent, in place of the team's; likewise ``vision``."""
    vision: str | None = None
    max_rounds: Count = DEFAULT_MAX_ROUNDS
    window: Count = 1
    questions_per_step: Count = 16
    """Questions of one optimizer step (verl's ppo_mini_batch_size)."""
    updates_per_batch: Count = 1
    """Optimizer steps with the rollouts of one batch, which has this many times ``questions_per_step`` questions
    (verl's train_batch_size)."""
    num_generations: Annotated[int | None, Field(ge=2)] = None
    """Rollouts of each question (the group); None: the algorithm's default."""
    max_generation_batches: Count = 1
    """How often rollouts are sampled for one batch at most: DAPO replaces groups with equal rewards by rollouts of
    other questions before it leaves them out. 1: it replaces none."""
    overlong_buffer_tokens: Count | None = None
    """The last tokens of the response limit, in which the overlong penalty grows. None: the algorithm's fraction."""
    overlong_penalty: NonNegativeFloat = 1.0
    """The overlong penalty at the response limit."""
    temperature: PositiveFloat = 1.0
    vllm_gpu_memory_utilization: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Fraction of the GPU's memory for a vLLM in the trainer's process, which then samples; None: transformers
    samples."""

    @property
    def data_options(self) -> DatasetOptions:
        """How the folder ``data`` is read."""
        return DatasetOptions(self.data_set, self.subtitles, self.encoding)

    @property
    def team_config(self) -> TeamConfig:
        """The agents that the master calls. Raises UsageError or DataError for a team or model that does not exist."""
        return load_team_config(self.team).with_models(grounding=self.grounding, vision=self.vision)

    @property
    def settings(self) -> RolloutSettings:
        """The limits of a rollout."""
        return RolloutSettings(self.max_rounds, self.window)

    def group_size(self, algorithm: str) -> int:
        """Rollouts of each question."""
        return self.num_generations or int(ALGORITHMS[algorithm].trl_fields["num_generations"])

    @property
    def questions_per_batch(self) -> int:
        """Questions whose rollouts are sampled together."""
        return self.questions_per_step * self.updates_per_batch

    def rollouts_per_step(self, algorithm: str) -> int:
        """Rollouts of one optimizer step, over all devices."""
        return self.questions_per_step * self.group_size(algorithm)


class SftConfig(TrainingConfig):
    """Supervised fine-tuning on trajectories of a good team."""

    _owned_fields: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**_OWNED_FIELDS, "gradient_accumulation_steps": "sequences_per_step"}
    )

    runs: Annotated[list[Path], Field(min_length=1)]
    """Run folders of ``lva eval``."""
    only_correct: bool = True
    """Whether trajectories with a wrong answer are left out."""
    min_reward: float | None = None
    """Trajectories with less reward are left out; None: no bound."""
    sequences_per_step: Count = 16
    """Token sequences of one optimizer step, over all devices."""
    learning_rate: PositiveFloat = 1e-5
    optimizer: Literal["adamw", "muon"] = "adamw"
    """``muon`` is for small models trained from scratch, with all weights."""

    @field_validator("optimizer")
    @classmethod
    def _check_optimizer(cls, optimizer: str, info: ValidationInfo) -> str:
        if optimizer == "muon" and info.data.get("lora") is not None:
            raise PydanticCustomError("muon_lora", "muon trains no adapter; leave [lora] out or use adamw")
        return optimizer


def read_config(path: Path, kind: type[ConfigT]) -> ConfigT:
    """Read a configuration file. Raises DataError, which names the file and the field, for one that is not valid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path") from error
    return validate_toml(kind, text, str(path))
