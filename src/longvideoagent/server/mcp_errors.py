"""An MCP server whose tool errors are one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import ValidationError

MAX_PROBLEMS = 3
"""Wrong arguments that one error names."""


class OneLineErrorServer(MCPServer):
    """Reports wrong arguments in one line, and refuses arguments that a tool does not have instead of ignoring them."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """See ``MCPServer``. Raises ToolError with one line."""
        await self._check_names(name, arguments)
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            cause = error.__cause__
            text = _problems(name, cause) if isinstance(cause, ValidationError) else str(error)
            raise ToolError(" ".join(text.split())) from cause

    async def _check_names(self, name: str, arguments: Mapping[str, Any]) -> None:
        known = {tool.name: tool.input_schema.get("properties", {}) for tool in await self.list_tools()}
        if name not in known:
            raise ToolError(f"{name[:100]!r}: not a tool; use one of {', '.join(known)}")
        unknown = [argument[:100] for argument in arguments if argument not in known[name]]
        if unknown:
            own = f"it has {', '.join(known[name])}" if known[name] else "it has none"
            raise ToolError(f"{name}: {', '.join(unknown[:MAX_PROBLEMS])}: not an argument of this tool; {own}")


def _problems(name: str, error: ValidationError) -> str:
    """The wrong arguments of a tool call."""
    found = {".".join(str(part) for part in each["loc"]): each["msg"] for each in error.errors()}
    shown = [f"{field}: {message[:1].lower()}{message[1:]}" for field, message in list(found.items())[:MAX_PROBLEMS]]
    more = f", and {len(found) - MAX_PROBLEMS} more" if len(found) > MAX_PROBLEMS else ""
    return f"{name}: {', '.join(shown)}{more}; correct this and call it again"
