"""The ``lva serve`` and ``lva mcp`` commands: parse, call one function, print."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from longvideoagent.cli.options import Concurrency, Encoding, IndexDir, IsolateByDefault, MaxReplyTokens, Model, NoCache
from longvideoagent.errors import require_extra

app = typer.Typer(rich_markup_mode=None)
LOCAL = "127.0.0.1"

LibraryDir = Annotated[Path, typer.Option("--library", help="The folder of the videos and runs.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Where uploads and jobs are stored; default: .longvideoagent in the library.")
]
Teams = Annotated[list[str] | None, typer.Option("--team", help="A team that can be asked; repeat it.")]
Host = Annotated[str, typer.Option(help="The address to listen on; one that other machines reach needs --token.")]
Port = Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)]
Token = Annotated[str | None, typer.Option(help="A secret that every request must present.", envvar="LVA_TOKEN")]
MaxUploadGb = Annotated[float, typer.Option(help="Maximum size of an upload in gigabytes.", min=0.001, max=1e6)]
McpConcurrency = Annotated[
    int, typer.Option("--concurrency", help="Tool calls that use agents at the same time.", min=1)
]
McpTeam = Annotated[str | None, typer.Option("--team", help="The team whose agents are called.")]
Http = Annotated[bool, typer.Option("--http", help="Use streamable HTTP instead of standard input and output.")]


@app.command()
def serve(
    library: LibraryDir = Path(),
    data_dir: DataDir = None,
    team: Teams = None,
    model: Model = None,
    host: Host = LOCAL,
    port: Port = 7860,
    token: Token = None,
    concurrency: Concurrency = 2,
    max_upload_gb: MaxUploadGb = 8.0,
    max_reply_tokens: MaxReplyTokens = None,
    no_cache: NoCache = False,
    encoding: Encoding = None,
    _index_dir: IndexDir = None,
    _isolate: IsolateByDefault = True,
) -> None:
    """Serve a page for asking videos and watching the agents work (extra web)."""
    require_extra("fastapi", "uvicorn", extra="web")
    from longvideoagent.cli.console import note, show_warnings
    from longvideoagent.server.app import create_app
    from longvideoagent.server.server import listen, load_teams, open_library, run_app

    show_warnings()
    application = create_app(
        open_library(library, data_dir, encoding),
        load_teams(team or (), max_reply_tokens, model=model, is_cached=not no_cache),
        concurrency=concurrency,
        max_upload_bytes=round(max_upload_gb * 1e9),
        token=token,
    )
    listener = listen(host, port, token, note)
    run_app(application, listener, lambda url: note(f"the page is at {url} (stop with Ctrl-C)"), token)


@app.command()
def mcp(
    library: LibraryDir = Path(),
    data_dir: DataDir = None,
    team: McpTeam = None,
    model: Model = None,
    http: Http = False,
    host: Host = LOCAL,
    port: Port = 7861,
    token: Token = None,
    concurrency: McpConcurrency = 2,
    max_reply_tokens: MaxReplyTokens = None,
    no_cache: NoCache = False,
    encoding: Encoding = None,
    _index_dir: IndexDir = None,
    _isolate: IsolateByDefault = True,
) -> None:
    """Offer the agents as tools over the Model Context Protocol (extra web)."""
    require_extra("mcp", "uvicorn", extra="web")
    from longvideoagent.cli.console import note, show_warnings
    from longvideoagent.server.mcp import create_server, http_app
    from longvideoagent.server.server import listen, load_teams, open_library, run_app

    show_warnings()
    teams = load_teams([team] if team else (), max_reply_tokens, model=model, is_cached=not no_cache)
    server = create_server(open_library(library, data_dir, encoding), next(iter(teams.values())), concurrency)
    if not http:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # or Ctrl-C would wait for a thread that waits for input
        server.run()
        return
    listener = listen(host, port, token, note)
    run_app(http_app(server, token), listener, lambda url: note(f"speaking MCP at {url}mcp"), token)
