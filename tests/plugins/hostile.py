"""Text that would be markup if it were not escaped."""

from __future__ import annotations

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
