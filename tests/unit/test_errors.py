"""Messages about what is not installed."""

from __future__ import annotations

import pytest

from longvideoagent.errors import UsageError, require_extra, require_modules


def test_require_extra_installed() -> None:
    require_extra("json", "pydantic", extra="web")


def test_require_extra_missing() -> None:
    with pytest.raises(UsageError) as caught:
        require_extra("json", "no_such_module", extra="web")
    assert str(caught.value) == "no-such-module is not installed; pip install 'longvideoagent[web]'"


def test_require_modules_other_requirement() -> None:
    with pytest.raises(UsageError, match=r"pip install 'package\[gpu\]'$"):
        require_modules(["no_such_module"], "package[gpu]")
