"""``lva doctor --team``: calls each agent's server once, and shows what it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from longvideoagent.agents.config import TeamConfig
from longvideoagent.agents.probe import AgentReport, ProbeForecast, forecast_probe, probe_team
from longvideoagent.cli.console import note, note_missing_keys
from longvideoagent.cli.terminal import printable, stdout_console, write_json

UNKNOWN = "?"
NOT_TRIED = "–"


def check_team(team_config: TeamConfig, *, dry_run: bool, as_json: bool) -> bool:
    """State the cost, call the servers unless it is a dry run, and print the reports; as JSON, the cost if it is one.
    Returns False if an agent cannot work."""
    forecast = forecast_probe(team_config)
    note(_forecast_line(forecast))
    if dry_run:
        note_missing_keys(team_config)
        if as_json:
            write_json(asdict(forecast))
        return True
    reports = asyncio.run(probe_team(team_config))
    if as_json:
        write_json({report.agent: asdict(report) for report in reports})
    else:
        _print_reports(reports)
    return not any(report.error for report in reports)


def _forecast_line(forecast: ProbeForecast) -> str:
    usage = forecast.max_usage
    if not usage.calls:
        return "no agent of this team is on a server; nothing is called"
    dollars = "no price is known" if forecast.usd is None else f"${forecast.usd:.4f}"
    servers = "1 server" if forecast.num_servers == 1 else f"{forecast.num_servers} servers"
    calls = "1 request" if usage.calls == 1 else f"{usage.calls} requests"
    return f"calls {servers}: at most {calls}, {usage.tokens:,} tokens, {dollars}"


def _print_reports(reports: Sequence[AgentReport]) -> None:
    """Print a table with a column for each agent, then errors and remarks, one line each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", style="dim")
    for report in reports:
        table.add_column(report.agent, overflow="fold")
    columns = [_column(report) for report in reports]
    for name in columns[0]:
        table.add_row(name, *(printable(column[name]) for column in columns))
    console = stdout_console()
    console.print(table)
    for report in reports:
        lines = [(report.error, "✗", "bold red")] if report.error else []
        lines += [(remark, "!", "yellow") for remark in report.remarks]
        for text, symbol, style in lines:
            message = printable(text)
            console.print(Text.assemble((f"{symbol} ", style), f"{report.agent}: ", message), soft_wrap=True)


def _column(report: AgentReport) -> dict[str, str]:
    """An agent's cells, by the names of the rows."""
    server = report.server
    state = "fails" if report.error else "works" if server else "not called"
    cells = {"model": report.model.partition("@")[0], "server": report.server_url or NOT_TRIED, "state": state}
    if server is None:
        names = ("context", "reasoning", "honors stop", "calls tools", "accepts images", "tokens", "dollars", "seconds")
        return cells | dict.fromkeys(names, NOT_TRIED)
    is_text = not server.usage.images
    honors_stop = _yes_no(server.honors_stop) if server.is_stop_sent else "not sent"
    return cells | {
        "context": f"{server.max_context_tokens:,}" if server.max_context_tokens else UNKNOWN,
        "reasoning": server.reasoning or "no",
        "honors stop": honors_stop if is_text else NOT_TRIED,
        "calls tools": NOT_TRIED if server.calls_tools is None else _yes_no(server.calls_tools),
        "accepts images": NOT_TRIED if is_text else _yes_no(server.accepts_images),
        "tokens": f"{server.usage.tokens:,}",
        "dollars": "no price" if report.usd is None else f"{report.usd:.4f}",
        "seconds": f"{server.usage.seconds:.1f}",
    }


def _yes_no(value: bool | None) -> str:
    return UNKNOWN if value is None else "yes" if value else "no"
