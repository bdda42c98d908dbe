"""Everything that can go wrong, and what the shell is told.

    VideostatError
    ├── UsageError            2    the command line cannot be carried out
    │   └── ConfigError       2    nor can the configuration
    ├── KeyRefused            3    three jobs in a row mean the key
    │   └── KeyMissing        3
    ├── OutOfCredit           4
    ├── ServiceError          6    the service refuses, and asking again will not help
    ├── Untrusted             6    a certificate or address we must not follow
    │   └── Redirected        6
    ├── NotFound              7    believed after 20 seconds
    ├── Gone                  7    expired, or deleted
    ├── NotSaved              9    the video exists, its file does not: download again
    ├── ExecFailed           10
    ├── OutputClosed        141    whoever read our stdout is gone
    ├── Stopped                    the wait ended before the job did
    │   ├── TimedOut        124
    │   └── Interrupted     128 + signal
    └── Retryable                  asked again until the deadline
        ├── RateLimited       4
        ├── ServerError       6
        ├── Unreachable       6
        │   └── NoConnection  6    the service has not even seen the request
        ├── Unreadable        6    an answer that is not what the service documents
        ├── KeyChanged        6    the request bore a key that is no longer in use
        └── NotReady          8

A job that *failed* is a result, not an error: see models.State.
"""

from __future__ import annotations

import signal
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; public, never renumbered."""

    OK = 0
    BUG = 1
    USAGE = 2
    KEY = 3
    CREDIT = 4
    FAILED = 5
    UNKNOWN = 6
    GONE = 7
    RUNNING = 8
    NOT_SAVED = 9
    EXEC = 10
    TIMEOUT = 124
    INTERRUPTED = 128 + signal.SIGINT
    BROKEN_PIPE = 141
    TERMINATED = 128 + signal.SIGTERM


class VideostatError(Exception):
    """A plain sentence for a person, a hint that says what to type, and the service's own code.

    `sure`: the service said it in a word or code that it documents. Only such a thing is recorded of a job.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None, sure: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
        self.sure = sure


class UsageError(VideostatError):
    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    pass


class KeyRefused(VideostatError):
    exit_code = ExitCode.KEY


class KeyMissing(KeyRefused):
    pass


class OutOfCredit(VideostatError):
    exit_code = ExitCode.CREDIT


class ServiceError(VideostatError):
    exit_code = ExitCode.UNKNOWN


class Untrusted(VideostatError):
    exit_code = ExitCode.UNKNOWN


class Redirected(Untrusted):
    """`location`: the whole address that the answer names."""

    def __init__(self, message: str, *, hint: str | None = None, location: str = "") -> None:
        super().__init__(message, hint=hint)
        self.location = location


class NotFound(VideostatError):
    exit_code = ExitCode.GONE


class Gone(VideostatError):
    exit_code = ExitCode.GONE


class NotSaved(VideostatError):
    exit_code = ExitCode.NOT_SAVED


class ExecFailed(VideostatError):
    exit_code = ExitCode.EXEC


class OutputClosed(VideostatError):
    exit_code = ExitCode.BROKEN_PIPE


class Stopped(VideostatError):
    """The wait is over, the job is not: it goes on at the service."""

    exit_code = ExitCode.RUNNING


class TimedOut(Stopped):
    exit_code = ExitCode.TIMEOUT


class Interrupted(Stopped):
    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = ExitCode(128 + signum)


class Retryable(VideostatError):
    """Never ends a job by itself; `retry_after` is in seconds, None where the service gave no hint."""

    exit_code = ExitCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        sure: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, sure=sure)
        self.retry_after = retry_after


class RateLimited(Retryable):
    exit_code = ExitCode.CREDIT


class ServerError(Retryable):
    pass


class Unreachable(Retryable):
    pass


class NoConnection(Unreachable):
    pass


class Unreadable(Retryable):
    """`about_job`: the next job of the account may well be answered."""

    about_job = False


class KeyChanged(Retryable):
    pass


class NotReady(Retryable):
    exit_code = ExitCode.RUNNING
