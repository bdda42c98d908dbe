"""Wait for AI-generated videos and bring them home.

from videostat import Client, wait

for job in wait(Client(), ["jogg:proj_abc123", "reelbot:42"]):
print(job.ref, job.state, job.video_url)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videostat.client import Client
    from videostat.errors import ExitCode, VideostatError
    from videostat.models import Job, JobRef, State
    from videostat.waiting import wait

__version__ = "0.1.0"

__all__ = ["Client", "ExitCode", "Job", "JobRef", "State", "VideostatError", "wait"]

_HOMES = {
    "Client": "client",
    "ExitCode": "errors",
    "Job": "models",
    "JobRef": "models",
    "State": "models",
    "VideostatError": "errors",
    "wait": "waiting",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then: `videostat --version` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
