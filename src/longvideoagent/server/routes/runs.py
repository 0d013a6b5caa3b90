"""The API of runs: evaluations that lie in the library."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from longvideoagent.server.state import app_state

router = APIRouter(prefix="/api", tags=["runs"])


@router.get("/runs")
def list_runs(request: Request) -> dict[str, Any]:
    """The run folders of ``lva eval``; ``error`` says of one why it cannot be read."""
    return {"runs": app_state(request).runs.lines()}


@router.get("/runs/{run}")
def tell_run(request: Request, run: str) -> dict[str, Any]:
    """A run with its finished questions."""
    return app_state(request).runs.rows(run)


@router.get("/runs/{run}/question")
def tell_question(request: Request, run: str, question_id: Annotated[str, Query(max_length=500)]) -> dict[str, Any]:
    """One question of a run: its trajectory, and its gold answer."""
    return app_state(request).runs.question(run, question_id)
