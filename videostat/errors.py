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
    ├── JobFailed             5    there is no video to save
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

A job that *failed* is a result, not an error: see models.State. Only `save`, which has no other result, raises it.
"""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class VideostatError(Exception):
    """Something that a person must be told: a plain sentence, a hint that says what to type, the service's own code.

    `name` and `exit_code` are public. `is_retryable`: the same command can work later. `sure`: the service said it in
    a word or code that it documents; only that is recorded of a job. `about_job`: it is this job's alone, and the next
    one of its account may well be answered.
    """

    name = "bug"
    exit_code = ExitCode.BUG
    is_retryable = False
    about_job = False

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None, sure: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
        self.sure = sure

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without `__init__`, whose parameters differ from class to class and are not `args`."""
        return type(self).__new__, (type(self), *self.args), vars(self)


class UsageError(VideostatError):
    """The command line cannot be carried out."""

    name, exit_code = "usage_error", ExitCode.USAGE


class ConfigError(UsageError):
    """The configuration cannot be used."""

    name = "config_error"


class KeyRefused(VideostatError):
    """The service refuses the key."""

    name, exit_code = "key_refused", ExitCode.KEY


class KeyMissing(KeyRefused):
    """No key is configured, or it cannot be read."""

    name = "key_missing"


class OutOfCredit(VideostatError):
    """The account has no credit left."""

    name, exit_code = "out_of_credit", ExitCode.CREDIT


class ServiceError(VideostatError):
    """The service refuses the request, and asking again will not help."""

    name, exit_code = "service_error", ExitCode.UNKNOWN


class Untrusted(VideostatError):
    """A certificate, redirect or address must not be followed."""

    name, exit_code = "untrusted", ExitCode.UNKNOWN


class JobFailed(VideostatError):
    """The job failed, so it has no video to save."""

    name, exit_code = "job_failed", ExitCode.FAILED


class Redirected(Untrusted):
    """The service sends us to another address; `location` is the whole of it."""

    name = "redirected"
    location = ""


class NotFound(VideostatError):
    """The service does not know the job."""

    name, exit_code = "not_found", ExitCode.GONE


class Gone(VideostatError):
    """The video has expired or was deleted."""

    name, exit_code = "gone", ExitCode.GONE


class NotSaved(VideostatError):
    """The video exists, its file does not: download again."""

    name, exit_code, is_retryable = "not_saved", ExitCode.NOT_SAVED, True


class ExecFailed(VideostatError):
    """The person's own command failed."""

    name, exit_code = "exec_failed", ExitCode.EXEC


class OutputClosed(VideostatError):
    """Nobody reads stdout any more."""

    name, exit_code = "output_closed", ExitCode.BROKEN_PIPE


class Stopped(VideostatError):
    """The wait ended before the job, which goes on at the service."""

    name, exit_code, is_retryable = "stopped", ExitCode.RUNNING, True


class TimedOut(Stopped):
    """The timeout was reached first."""

    name, exit_code = "timed_out", ExitCode.TIMEOUT


class Interrupted(Stopped):
    """A signal ended the wait."""

    name, exit_code = "interrupted", ExitCode.INTERRUPTED

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = ExitCode(128 + signum)


class Retryable(VideostatError):
    """Trouble that may pass; `retry_after` is in seconds, None where the service gave no hint."""

    name, exit_code, is_retryable = "retryable", ExitCode.UNKNOWN, True

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
    """The service asks us to slow down."""

    name, exit_code = "rate_limited", ExitCode.CREDIT


class ServerError(Retryable):
    """The service has trouble of its own."""

    name = "server_error"


class Unreachable(Retryable):
    """The service gave no answer."""

    name = "unreachable"


class NoConnection(Unreachable):
    """The request never reached the service."""

    name = "no_connection"


class Unreadable(Retryable):
    """The answer is not what the service documents."""

    name = "unreadable"


class KeyChanged(Retryable):
    """The request bore a key that is no longer in use."""

    name = "key_changed"


class NotReady(Retryable):
    """The video is not ready yet."""

    name, exit_code = "not_ready", ExitCode.RUNNING


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest of the known words, or else all of them."""
    from difflib import get_close_matches

    known = list(known)
    nearest = get_close_matches(word.lower(), known, n=1)
    return f"Did you mean {nearest[0]}?" if nearest else f"Known are {', '.join(known)}."
