"""docs/reproduce.md: its commands work up to the first call of a model, its numbers follow from their formulas, and
each team file that it names loads and has a price for every model."""

from __future__ import annotations

import importlib.util
import math
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from longvideoagent.agents.config import REASONING_REPLY_TOKENS, TeamConfig
from longvideoagent.agents.grounding import GROUNDING_SETTINGS
from longvideoagent.agents.team_file import load_prices, load_team_config
from longvideoagent.core.trace import RolloutSettings
from longvideoagent.evaluation.config import make_eval_config
from longvideoagent.evaluation.metrics import Z_95, summarize
from longvideoagent.evaluation.overrides import MAX_BASELINE_FRAMES
from tests.fakes.public_checkout import write_checkout
from tests.fakes.release import some_questions, write_frames, write_release
from tests.plugins.cli import lva

ROOT = Path(__file__).resolve().parents[2]
TEAMS = sorted((ROOT / "configs" / "teams").glob("*.toml"))
NUM_SAMPLE, NUM_QUESTIONS = 300, 3_017
"""Questions of a sample, and of LongTVQA+'s validation set."""
REPRODUCE = (ROOT / "docs" / "reproduce.md").read_text()


@pytest.mark.parametrize("path", TEAMS, ids=lambda path: path.stem)
def test_team_file_loads(path: Path) -> None:
    team_config = load_team_config(str(path))
    assert team_config.unpriced == ()
    assert all(agent.spec.url for agent in team_config.agents.values() if agent.spec.is_remote)
    assert path.read_text().startswith("# ")
    is_training = path.stem.startswith("training-")
    assert team_config.master.spec.is_offline is is_training
    if is_training:
        assert team_config.vision.max_frames == len(range(1, 181, 15))


def test_team_file_takes_preset() -> None:
    team_config = load_team_config(str(ROOT / "configs" / "teams" / "agentic-qwen2.5-7b.toml"))
    preset = load_team_config(team_config.preset or "")
    assert team_config.master == preset.master.model_copy(update={"model": team_config.master.model})
    assert (team_config.style, team_config.look_tag) == (preset.style, "search")
    assert team_config.vision.max_frames == 15


def test_prices_have_date_and_source() -> None:
    for name, price in load_prices(ROOT / "configs" / "prices.toml").items():
        assert (price.date is not None and price.source is not None) == (price.prompt_usd_per_mtok > 0), name


COMMANDS = re.findall(r"`(lva (?:eval|ablate) [^`]+)`", REPRODUCE)


PREPARE = REPRODUCE.partition("## Prepare\n")[2].partition("\n## ")[0]
IMPORTS = re.findall(r"^ *(lva layout import .+)$", PREPARE, re.MULTILINE)
FREE_OPTIONS = ("--max-run-usd",)
"""Options of the page that are not settings of a run."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set in ``plus``, a file of ids, the imported layouts, and this repository's ``configs``."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_frames(write_release(folder / "plus") / "frames")
    (folder / "ids-plus-300.txt").write_text("1\n")
    write_checkout(folder / "CHECKOUT")
    for line in IMPORTS:
        done = lva(*shlex.split(line)[1:], cwd=folder)
        assert done.returncode == 0, done.stderr
    (folder / "configs").symlink_to(ROOT / "configs")
    return folder


def test_reproduce_commands_have_own_folders() -> None:
    """All commands can be run one after the other: those that share a folder are one run."""
    runs: dict[str, str] = {}
    for command in COMMANDS:
        words = shlex.split(command)
        options = {words[index] for index in range(len(words)) if words[index].startswith("--")}
        assert "--run" in options, command
        for option in FREE_OPTIONS:
            if option in options:
                del words[words.index(option) : words.index(option) + 2]
        settings = " ".join(words)
        assert runs.setdefault(words[words.index("--run") + 1], settings) == settings
    compared = re.findall(r"`lva compare (\S+) (\S+)`", REPRODUCE)
    assert compared
    assert {name for pair in compared for name in pair} <= set(runs)


def test_reproduce_commands_for_longtvqa_have_own_files() -> None:
    """With tvqa for plus, no file or folder of a command is one of LongTVQA+'s commands, except for configs."""
    words = {word for command in (*COMMANDS, *IMPORTS) for word in shlex.split(command)}
    files = {word for word in words if re.search(r"^runs/|\.(?:toml|txt)$|^plus$", word)}
    files = {word for word in files if not word.startswith("configs/")}
    assert all("plus" in word or "tvqa" in word for word in files)
    layouts = {word for word in files if word.startswith("layout-")}
    assert {word.replace("plus", "tvqa") for word in layouts} <= layouts


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_reproduce_commands(command: str, workplace: Path) -> None:
    arguments = shlex.split(command)[1:]
    done = lva(*arguments, "--dry-run", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "Nothing was asked" in done.stdout
    assert "no price" not in done.stdout


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # TRL's dependencies
def test_reproduce_training(workplace: Path, random_model: Path) -> None:
    """The commands that prepare a training run, with the offline team and a tiny model."""
    pytest.importorskip("trl")
    section = REPRODUCE.partition("## Prepare a training run")[2].partition("```bash\n")[2].partition("```")[0]
    config = ROOT / "configs" / "qwen2.5-3b-grpo.toml"
    text = (
        config.read_text()
        .replace("Qwen/Qwen2.5-3B-Instruct", str(random_model))
        .replace("# layout_file", "layout_file")
    )
    (workplace / "grpo.toml").write_text(text)
    write_release(workplace / "plus", some_questions(80), "train")
    instead = {"configs/teams/training-3b.toml": "offline", f"configs/{config.name}": "grpo.toml"}
    lines = section.splitlines()
    assert [shlex.split(line)[2] for line in lines[1:4]] == ["ground", "ground", "export"]
    for line in lines:
        done = lva(*(instead.get(each, each) for each in shlex.split(line)[1:]), cwd=workplace)
        assert done.returncode == 0, done.stderr
    assert re.search(r"rollouts per step +64\n", done.stdout)


def test_reproduce_extras_declared() -> None:
    """The page says how to install, with extras that exist and the one that each of its commands needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (line,) = re.findall(r"^pip install -e '\.\[([\w,]+)\]'$", REPRODUCE, re.MULTILINE)
    assert set(line.split(",")) <= set(project["optional-dependencies"])
    for extra, command in (("hub", "data download"), ("parquet", "data export"), ("train", "train")):
        assert extra in line.split(",")
        assert re.search(rf"`{extra}` (?:is )?for\s+`lva {command}`", REPRODUCE), extra
    assert f"Python {project['requires-python'].removeprefix('>=')} or later" in REPRODUCE
    development = " ".join(project["optional-dependencies"]["dev"])
    assert all(package in development for package in ("huggingface-hub", "pyarrow"))  # of make demo


def test_reproduce_files_ignored() -> None:
    """What the page's commands read and write in the checkout is not committed by accident."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    patterns = [line.strip("/") for line in lines if line and not line.startswith("#")]
    code = " ".join(" ".join(pair) for pair in re.findall(r"`(lva [^`]+)`|^ *(lva .+)$", REPRODUCE, re.MULTILINE))
    words = set(shlex.split(code.replace("'", "")))
    files = {
        word.partition("/")[0]
        for word in words
        if re.search(r"^(?:plus|tvqa|rows|runs/.+)$|\.(?:toml|txt|json)$", word)
    }
    files -= {"configs"}
    assert {"plus", "tvqa", "rows", "runs", "trained.toml", "layout-plus-api.toml", "ids-plus-300.txt"} <= files
    assert [name for name in sorted(files) if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_reproduce_files_named() -> None:
    named = set(re.findall(r"configs/[\w./-]+\.(?:toml|yaml)", REPRODUCE))
    assert all((ROOT / name).is_file() for name in named)
    teams = {f"configs/teams/{path.name}" for path in TEAMS if not path.stem.startswith("training-")}
    assert teams <= named


def test_reproduce_standard_errors() -> None:
    figures = re.findall(r"([\d.]+) ± ([\d.]+)", REPRODUCE)
    assert len(figures) == 12 + 3 + 11
    for percent, error in figures:
        p = float(percent) / 100
        errors = [f"{100 * math.sqrt(p * (1 - p) / count):.1f}" for count in (NUM_SAMPLE, NUM_QUESTIONS)]
        assert error in errors, percent


def test_reproduce_baseline_stated() -> None:
    """The limits and counts of the baseline are those of the code."""
    (reply,) = re.findall(r"the limit of the team, ([\d,]+) for those of the page", REPRODUCE)
    baselines = {
        shlex.split(command)[shlex.split(command).index("--team") + 1]
        for command in COMMANDS
        if "--baseline subtitles+frames" in command
    }
    assert baselines
    for team in baselines:
        assert f"{load_team_config(str(ROOT / team)).call_settings('master').max_tokens:,}" == reply, team
    assert f"the middle frame of up to {MAX_BASELINE_FRAMES} clips" in REPRODUCE
    assert "have no public wording" not in REPRODUCE


def test_reproduce_numbers_of_lva_eval() -> None:
    """What the page says of the output of lva eval is so: its interval, its columns, its limits."""
    assert f"95 %, so {Z_95:.2f} standard errors" in REPRODUCE
    assert set(re.findall(r"`(any|first|window)`", REPRODUCE)) <= set(summarize([], 0)["grounding"])
    assert "among the clips visited: `any` in the line `grounding:`" in REPRODUCE
    limits = f"{GROUNDING_SETTINGS.max_tokens:,}, of a model that thinks {REASONING_REPLY_TOKENS:,}"
    assert f"| {limits}; a protocol changes the master's only |" in REPRODUCE


def test_reproduce_rows_with_gold_boxes(workplace: Path) -> None:
    """Exactly the rows that the page names run with merged gold boxes."""
    for command in COMMANDS:
        words = shlex.split(command)
        protocol = words[words.index("--protocol") + 1] if "--protocol" in words else "ours"
        agents = words[words.index("--agents") + 1] if "--agents" in words else None
        baseline = words[words.index("--baseline") + 1] if "--baseline" in words else None
        switches = [words[words.index("--switch") + 1]] if "--switch" in words else []
        overrides = {"protocol": protocol, "agents": agents, "baseline": baseline, "switches": switches}
        config = make_eval_config(workplace / "plus", "val", TeamConfig(), RolloutSettings(), overrides)
        is_named = "--layout" in words and agents != "grounding" and not switches
        assert bool(config.gold_inputs) is is_named, command


def test_reproduce_estimates() -> None:
    spec = importlib.util.spec_from_file_location("reproduction", ROOT / "benchmarks" / "reproduction.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "\n".join(module.table()) in REPRODUCE
    assert f"about {module.grounding_usd():.0f} dollars for the {module.TRAINING_QUESTIONS:,} of LongTVQA+" in REPRODUCE
