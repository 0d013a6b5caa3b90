"""What decides a training run, read from TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from longvideoagent.agents.load import read_prompt
from longvideoagent.agents.roster import OFFLINE, parse_toml
from longvideoagent.context import Style
from longvideoagent.errors import DataError
from longvideoagent.trace import Settings
from longvideoagent.training.reward import PRESETS, Weights
from longvideoagent.training.tokens import Limits, Wording

Count = Annotated[int, Field(ge=1)]
_USUAL = Limits()


class Lora(BaseModel):
    """Low-rank adapters (public code: rank 128, alpha 64)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Count = 128
    alpha: Count = 64
    modules: str | list[str] = "all-linear"


class TokenLimits(BaseModel):
    """See ``tokens.Limits``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Count = _USUAL.prompt
    response: Count = _USUAL.response
    reply: Count = _USUAL.reply
    least_reply: Count = _USUAL.least_reply


class TrainConfig(BaseModel):
    """Paths are as given to the shell; what is left out keeps the public code's value where it tells one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder, or the id, of a causal language model with a chat template."""
    data: Path
    """The folder of the data set that the rows were made of."""
    rows: Path
    """train.parquet, as ``lva data export`` writes it."""
    out: Path
    split: str = "train"
    team: str = OFFLINE
    """Whose grounding and vision agents the master calls."""
    style: Style = Style.CONTINUATION
    look_tag: str = "search"
    prompt_file: Path | None = None
    max_rounds: Count = 5
    window: Count = 1
    reward: str | dict[str, float] = "paper"
    """A preset of ``reward.PRESETS``, or the weights themselves."""
    limits: TokenLimits = TokenLimits()
    steps: Count = 401
    batch: Count = 16
    """Questions a step."""
    group: Annotated[int | None, Field(ge=2)] = None
    """Rollouts of each question; None: the algorithm's own."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-6
    temperature: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0
    save_every: Count = 50
    lora: Lora | None = None
    """None trains all weights."""

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
    def wording(self) -> Wording:
        """How the master's context is written. Raises DataError where the prompt cannot be read."""
        return Wording(self.style, read_prompt(self.prompt_file), self.look_tag)

    @property
    def settings(self) -> Settings:
        """What bounds a rollout."""
        return Settings(self.max_rounds, self.window)

    @property
    def token_limits(self) -> Limits:
        """What bounds its tokens."""
        return Limits(**self.limits.model_dump())


def read_config(path: Path) -> TrainConfig:
    """Raises DataError, naming the file and the field, where it cannot be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path") from error
    return parse_toml(TrainConfig, text, str(path))
