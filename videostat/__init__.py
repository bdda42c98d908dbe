"""Wait for AI-generated videos and bring them home.

For example:

    from videostat import Client, save, wait

    with Client() as client:
        for job in wait(client, ["jogg:proj_abc123", "reelbot:reel_42"]):
            print(job.ref, job.state, job.problem or job.error or save(job, "videos", client=client).file)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videostat.client import Client
    from videostat.errors import ExitCode, VideostatError
    from videostat.models import Job, JobRef, Link, Saved, State
    from videostat.waiting import save, wait

__version__ = "0.1.0"

__all__ = ["Client", "ExitCode", "Job", "JobRef", "Link", "Saved", "State", "VideostatError", "save", "wait"]

_HOMES = {
    "Client": "client",
    "ExitCode": "errors",
    "Job": "models",
    "JobRef": "models",
    "Link": "models",
    "Saved": "models",
    "State": "models",
    "VideostatError": "errors",
    "save": "waiting",
    "wait": "waiting",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use. This keeps `videostat --version` fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, also those that have not been imported yet."""
    return [*__all__, "__version__"]
