"""The ``lva serve`` and ``lva mcp`` commands: parse, call one function, print."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.cli.options import need

app = typer.Typer(rich_markup_mode=None)
LOCAL = "127.0.0.1"

Folder = Annotated[Path, typer.Option("--library", help="The folder whose videos and runs are shown.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Where uploads and jobs are stored; default: .longvideoagent in the library.")
]
Teams = Annotated[list[str] | None, typer.Option("--team", help="A team that can be asked; repeat it.")]
Host = Annotated[str, typer.Option(help="The address to listen on; any but this machine's own needs --token.")]
Port = Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)]
Token = Annotated[str | None, typer.Option(help="What everybody who asks has to know.", envvar="LVA_TOKEN")]
Concurrency = Annotated[int, typer.Option(help="Questions that run at the same time; the others wait.", min=1)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Ask models anew instead of remembering.")]


@app.command()
def serve(
    library: Folder = Path(),
    data_dir: DataDir = None,
    team: Teams = None,
    host: Host = LOCAL,
    port: Port = 7860,
    token: Token = None,
    concurrency: Concurrency = 2,
    max_upload_gb: Annotated[float, typer.Option(help="Gigabytes an upload may have.", min=0.001)] = 8.0,
    no_cache: NoCache = False,
) -> None:
    """Show a page on which videos are asked and the steps watched (extra web)."""
    need("fastapi", "uvicorn", extra="web")
    from longvideoagent.cli.console import note
    from longvideoagent.server.app import create_app
    from longvideoagent.server.server import listen, load_teams, open_library, run_app

    opened, teams = open_library(library, data_dir), load_teams(team or ["offline"], is_cached=not no_cache)
    application = create_app(
        opened, teams, max_concurrency=concurrency, max_upload_bytes=round(max_upload_gb * 1e9), token=token
    )
    run_app(
        application,
        listen(host, port, token, note),
        lambda url: note(f"the page is at {url} (stop with Ctrl-C)"),
        token,
    )


@app.command()
def mcp(
    library: Folder = Path(),
    data_dir: DataDir = None,
    team: Annotated[str, typer.Option(help="The team whose agents are called.")] = "offline",
    http: Annotated[
        bool, typer.Option("--http", help="Speak streamable HTTP instead of standard input and output.")
    ] = False,
    host: Host = LOCAL,
    port: Port = 7861,
    token: Token = None,
    concurrency: Concurrency = 2,
    no_cache: NoCache = False,
) -> None:
    """Lend the agents to an assistant that speaks the Model Context Protocol (extra web)."""
    need("mcp", "uvicorn", extra="web")
    from longvideoagent.cli.console import note
    from longvideoagent.server.mcp import create_server, http_app
    from longvideoagent.server.server import listen, load_teams, open_library, run_app

    opened = open_library(library, data_dir)
    server = create_server(opened, load_teams([team], is_cached=not no_cache)[team], concurrency)
    if not http:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # or a thread that waits for input would have Ctrl-C wait too
        server.run()
        return
    run_app(
        http_app(server, token), listen(host, port, token, note), lambda url: note(f"speaking MCP at {url}mcp"), token
    )
