"""The API of runs: evaluations in the library."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from longvideoagent.server.state import app_state

router = APIRouter(prefix="/api", tags=["runs"])


@router.get("/runs")
def list_runs(request: Request) -> dict[str, Any]:
    """The run folders of ``lva eval``; ``error`` says why a run cannot be read."""
    return {"runs": app_state(request).run_cache.summaries()}


@router.get("/runs/{run}")
def get_run(request: Request, run: str) -> dict[str, Any]:
    """A run with its finished questions."""
    return app_state(request).run_cache.rows(run)


@router.get("/runs/{run}/question")
def get_run_question(request: Request, run: str, question_id: Annotated[str, Query(max_length=500)]) -> dict[str, Any]:
    """One question of a run, with its trace and its gold answer."""
    return app_state(request).run_cache.question(run, question_id)
