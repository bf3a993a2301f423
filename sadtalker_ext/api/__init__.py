"""The REST API under /sadtalker/v1/: pictures and speech in, jobs and videos out, on any FastAPI app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .access import credentials
from .jobs import Jobs
from .limits import Limits
from .routes import PREFIX

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..shell import Shell

__all__ = ["PREFIX", "Jobs", "Limits", "credentials", "mount"]

_jobs: Jobs | None = None


def mount(
    app: FastAPI, shell: Shell, credentials: Mapping[str, str] | None = None, jobs: Jobs | None = None
) -> Jobs:
    """Add the routes to an app, which may run already, and return the queue behind them.

    credentials: passwords by user name (see `credentials`); None lets everybody in. jobs: the queue; without
    one the process has one, which stays over a WebUI's Reload UI with its jobs and results.
    """
    global _jobs
    if jobs is None:
        jobs = _jobs = Jobs(shell) if _jobs is None or _jobs.closed else _jobs
        jobs.shell = shell
    from .mounting import add_routes

    add_routes(app, jobs, credentials)
    return jobs
