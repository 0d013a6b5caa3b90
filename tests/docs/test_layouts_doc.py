"""docs/layouts.md: its commands work, and its tables are those of the code."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from longvideoagent.core.layout import LAYOUT_FIELDS, TEMPLATE_FIELDS
from longvideoagent.evaluation.protocols import PROTOCOLS, SWITCHES
from tests.fakes.public_checkout import write_checkout
from tests.fakes.release import write_release
from tests.plugins.cli import lva

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "layouts.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


def test_layouts_doc_commands(subtitled_video: Path, tmp_path: Path) -> None:
    write_checkout(tmp_path / "LongVideoAgent")
    write_release(tmp_path / "plus")
    shutil.copy(subtitled_video, tmp_path / "talk.mp4")
    shutil.copy(subtitled_video.with_suffix(".srt"), tmp_path / "talk.srt")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    imports = [line for line in COMMANDS if " import " in line]
    for line in [*imports, *(line for line in COMMANDS if line not in imports)]:
        done = lva(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, (line, done.stderr)


def test_layouts_doc_fields_complete() -> None:
    names = set(re.findall(r"`\$?(\w+)`", TEXT))
    assert set(LAYOUT_FIELDS) <= names
    for template, allowed in TEMPLATE_FIELDS.items():
        assert {name for name in allowed if not re.fullmatch(r"a\d", name)} <= names, template


def test_layouts_doc_switches() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXT, re.MULTILINE)
    table = {name: [cell.strip().strip("`") for cell in cells] for name, *cells in rows if name in SWITCHES}
    assert set(table) == set(SWITCHES)
    for name, cells in table.items():
        for protocol, cell in zip(PROTOCOLS.values(), cells, strict=True):
            value = getattr(protocol, name)
            if isinstance(value, tuple):
                value = list(value)
            shown = f"{value:,}" if name == "max_reply_tokens" and value else str(value).lower()
            assert value is None or cell == shown or cell.startswith("15 over"), (protocol.name, name)
