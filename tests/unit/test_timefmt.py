"""Timestamps: the command line, the page and the report show a time in the same way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from longvideoagent.core.timefmt import format_timestamp, times_in_s

CASES = {
    -1.0: "0:00",
    -0.001: "0:00",
    0.0: "0:00",
    0.994: "0:00",
    0.996: "0:01",
    9.0: "0:09",
    59.99: "0:59",
    59.995: "1:00",
    59.996: "1:00",
    61.9: "1:01",
    359.999: "6:00",
    3599.99: "59:59",
    3599.999: "1:00:00",
    3723.0: "1:02:03",
    36000.0: "10:00:00",
    359999.0: "99:59:59",
}


def javascript_function(package: str, name: str) -> str:
    """The source of ``formatTimestamp`` in a file of the package."""
    text = (files(package) / name).read_text(encoding="utf-8")
    match = re.search(r"function formatTimestamp\(.*?\n}\n", text, re.DOTALL)
    assert match is not None
    return match[0]


@pytest.mark.parametrize(("time_s", "text"), CASES.items())
def test_format_timestamp(time_s: float, text: str) -> None:
    assert format_timestamp(time_s) == text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize(
    ("package", "name"),
    [("longvideoagent.server", "static/format.js"), ("longvideoagent.evaluation", "report.html.j2")],
)
def test_format_timestamp_in_javascript(package: str, name: str) -> None:
    call = f"console.log(JSON.stringify({json.dumps(list(CASES))}.map(formatTimestamp)));"
    script = f"{javascript_function(package, name)}\n{call}"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(CASES.values())


def test_times_in_a_text() -> None:
    assert times_in_s("9" * 400 + ":00 " + "9" * 400 + " s") == []
    assert times_in_s("around 75 s, at 1:15 and at 1:02:03, after 3 cats") == [75.0, 75.0, 3723.0]
