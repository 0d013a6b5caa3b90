"""The master trained by TRL on rollouts of the real loop, with a tiny model and the offline agents."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from longvideoagent.agents.load import load_team
from longvideoagent.agents.team import Team
from longvideoagent.errors import ModelError, UsageError
from longvideoagent.media.clip_folders import ClipFolders
from longvideoagent.media.episode import Episode
from longvideoagent.trace import Outcome, Settings
from longvideoagent.training.reward import Weights
from longvideoagent.training.rollouts import Lesson, Played, Sampled, Task, Tongue, play
from longvideoagent.training.tokens import Limits, Wording
from longvideoagent.types import Clip, Question, Subtitle, Timeline

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),  # TRL of its own dependencies
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("trl"), reason="needs TRL: make test-all installs it"),
]

SPOKEN = ("Mira: the sign is red", "Otto: the rope is torn", "Lena: the boat is late")
TIMELINE = Timeline(
    tuple(
        Clip(f"c{n}", 60.0 * n, 60.0 * n + 60, (Subtitle(60.0 * n + 1, 60.0 * n + 3, said),))
        for n, said in enumerate(SPOKEN)
    )
)
EPISODE = Episode(ClipFolders(None, TIMELINE), TIMELINE, "", ())
TASK = Task(Question("What is torn?", ("the sign", "the rope"), "q1"), EPISODE, "c0", Settings(3))
LOOK, MOVE, END = "<search>a rope</search>", "<request_grounding>rope</request_grounding>", "<answer>a1</answer>"
PROMPT = "$question\n$options\n$located\n"


@pytest.fixture(scope="module")
def tiny(random_model: Path) -> Any:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(random_model), AutoTokenizer.from_pretrained(random_model)


def tongue(tokenizer: Any, reply: int = 48) -> Tongue:
    return Tongue(tokenizer, Wording(prompt=PROMPT), Limits(prompt=600, response=600, reply=reply, least_reply=8))


def scripted(tokenizer: Any, *replies: list[str]) -> Any:
    """Samples what each rollout is to say, in the order of rollouts."""
    left = [list(each) for each in replies]
    calls: list[int] = []

    def sample(contexts: list[list[int]], most: list[int]) -> list[Sampled]:  # noqa: ARG001
        calls.append(len(contexts))
        said = [tokenizer(each.pop(0))["input_ids"] for each in left if each]
        return [(ids, [-1.0] * len(ids)) for ids in said]

    sample.calls = calls  # type: ignore[attr-defined]
    return sample


class DeadVision:
    """Vision whose server is down."""

    async def look(self, request: Any, video: Any) -> Any:  # noqa: ARG002
        raise ModelError("no server")


def test_rollouts_run_side_by_side_through_the_loop_of_ask(tiny: Any) -> None:
    _, tokenizer = tiny
    sample = scripted(tokenizer, [MOVE, END], [END], [LOOK, MOVE, END])
    played = asyncio.run(play([TASK] * 3, load_team(), sample, tongue(tokenizer)))
    assert sample.calls == [3, 2, 1]
    assert [str(each.trace.outcome) for each in played] == ["answered"] * 3
    assert played[0].trace.visited == ("c0", "c1")
    assert [len(each.sequences) for each in played] == [1, 1, 1]


def test_an_outage_ends_its_own_rollout_alone(tiny: Any) -> None:
    _, tokenizer = tiny
    whole = load_team()
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    played = asyncio.run(play([TASK] * 2, team, scripted(tokenizer, [LOOK], [MOVE, END]), tongue(tokenizer)))
    assert [each.trace.outcome for each in played] == [Outcome.FAILED, Outcome.ANSWERED]


# --- the trainer ---------------------------------------------------------------------------------


def trainer_of(
    random_model: Path, folder: Path, algorithm: str = "grpo", team: Team | None = None, **given: Any
) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.trl import MasterRollouts, make_trainer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    rollouts = MasterRollouts(
        [Lesson(TASK, 1)] * 4, team or load_team(), tongue(tokenizer, reply=24), Weights(answer=1)
    )
    arguments = {
        "output_dir": str(folder), "per_device_train_batch_size": 4, "num_generations": 4, "max_steps": 2,
        "use_cpu": True, "report_to": "none", "gradient_checkpointing": False, "learning_rate": 1e-3,
        "save_strategy": "no", "seed": 1, "disable_tqdm": True, "logging_steps": 1, "bf16": False,
    }  # fmt: skip
    return make_trainer(model, rollouts, algorithm, arguments | given), rollouts


def say(rollouts: Any, monkeypatch: pytest.MonkeyPatch, *replies: list[str]) -> None:
    """Have the rollouts sample these instead of what the model would."""
    from longvideoagent.training import trl

    sample = scripted(rollouts.tongue.tokenizer, *replies)
    monkeypatch.setattr(trl, "ModelSampler", lambda *_: sample)


def test_a_step_trains_the_model_on_what_it_sampled_itself(random_model: Path, tmp_path: Path) -> None:
    trainer, rollouts = trainer_of(random_model, tmp_path)
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(rollouts.finished) == 4
    for played, _ in rollouts.finished:
        (sequence,) = played.sequences
        sampled = [logprob for logprob, mask in zip(sequence.logprobs, sequence.mask, strict=True) if mask]
        assert all(logprob < 0 for logprob in sampled)
        assert played.trace.outcome is Outcome.SPENT  # random weights speak no protocol


def test_the_loss_has_a_gradient_on_what_was_sampled_and_none_on_what_was_told(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, rollouts = trainer_of(random_model, tmp_path, beta=0.0)
    say(rollouts, monkeypatch, [MOVE, END], [MOVE, "<answer>a0</answer>"], [MOVE, END], [MOVE, END])
    hidden: list[Any] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        if output.requires_grad:
            output.retain_grad()
            hidden.append(output)

    trainer.model.model.norm.register_forward_hook(keep)  # each place of it goes into one prediction and no other
    trainer.args.max_steps = 1
    trainer.train()
    longest = max(len(each.sequences[0].ids) for each, _ in rollouts.finished)
    grad = hidden[0].grad[:, -longest - 1 : -1].abs().sum(-1)
    for row, (played, _) in zip(grad, rollouts.finished, strict=True):
        mask = played.sequences[0].mask
        for position, is_sampled in enumerate(mask):
            assert (row[position] > 0) == bool(is_sampled), position


def test_equal_rewards_teach_nothing_and_leave_the_group_out_under_dapo(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for algorithm in ("grpo", "dapo"):
        trainer, rollouts = trainer_of(random_model, tmp_path, algorithm, beta=0.0, max_steps=1)
        say(rollouts, monkeypatch, *[[END]] * 4)
        before = {name: each.clone() for name, each in trainer.model.named_parameters()}
        trainer.train()
        assert {total.total for _, total in rollouts.finished} == {2.0}
        assert all((each == before[name]).all() for name, each in trainer.model.named_parameters())


def test_an_outage_is_no_lesson(random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_team()
    team = Team("shaky", whole.master, whole.grounding, DeadVision())
    trainer, rollouts = trainer_of(random_model, tmp_path, team=team, max_steps=1)
    say(rollouts, monkeypatch, [LOOK], [MOVE, END], ["<answer>a0</answer>"], [LOOK])
    rows: list[dict[str, Any]] = []

    def keep(*told: Any) -> dict[str, Any]:
        rows.append(rollouts(*told))
        return rows[-1]

    monkeypatch.setattr(trainer, "rollout_func", keep)
    trainer.train()
    assert rows[0]["rollout_reward"] == [None, 2.0, 1.0, None]
    assert [sum(mask) > 0 for mask in rows[0]["env_mask"]] == [False, True, True, False]


def test_a_style_that_is_no_single_sequence_is_refused(tiny: Any) -> None:
    from longvideoagent.context import Style
    from longvideoagent.training.trl import MasterRollouts

    _, tokenizer = tiny
    own = Tongue(tokenizer, Wording(Style.ACCUMULATED, PROMPT))
    played: list[Played] = asyncio.run(play([TASK], load_team(), scripted(tokenizer, [MOVE, END]), own))
    with pytest.raises(UsageError, match="style accumulated: its contexts are no single sequence"):
        MasterRollouts([], load_team(), own)._row(played[0], is_counted=True)


def test_log_probabilities_are_those_of_the_model(random_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from longvideoagent.training.sampling import ModelSampler

    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    contexts = [tokenizer(text)["input_ids"] for text in ("What is torn?", "Who is late today, and why?")]
    torch.manual_seed(3)
    replies = ModelSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14])
    torch.manual_seed(3)
    assert ModelSampler(model, tokenizer, temperature=0.7)(contexts, [9, 14]) == replies
    assert [len(ids) for ids, _ in replies] <= [9, 14]
    for context, (ids, logprobs) in zip(contexts, replies, strict=True):
        scores = model(input_ids=torch.tensor([context + ids])).logits[0, len(context) - 1 : -1]
        expected = torch.log_softmax(scores / 0.7, -1).gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
        assert logprobs == pytest.approx(expected.tolist(), abs=1e-4)
