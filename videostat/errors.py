"""All errors of videostat, each with its name and exit code.

    VideostatError
    ├── UsageError            2    the command line is not valid
    │   └── ConfigError       2    the configuration is not valid
    ├── KeyRefused            3    three jobs in a row mean the key
    │   └── KeyMissing        3
    ├── OutOfCredit           4
    ├── ServiceError          6    the service refuses the request for good
    ├── Untrusted             6    a certificate, redirect or address that must not be followed
    │   └── Redirected        6
    ├── JobFailed             5    there is no video to save
    ├── NotFound              7    final once the service has repeated it after 20 seconds
    ├── Gone                  7    expired, or deleted
    ├── NotSaved              9    the video exists but was not saved: download again
    ├── ExecFailed           10
    ├── OutputClosed        141    the reader of stdout has gone
    ├── Stopped                    the wait ended before the job did
    │   ├── TimedOut        124
    │   └── Interrupted     128 + signal
    └── Retryable                  retried until the deadline
        ├── RateLimited       4
        ├── ServerError       6
        ├── Unreachable       6
        │   └── NoConnection  6    the request never reached the service
        ├── Unreadable        6    an answer that is not what the service documents
        ├── KeyChanged        6    the request used a key that has been replaced
        └── NotReady          8

A failed job is a result (see models.State). Only the library's `save` raises JobFailed for it.
"""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """Exit codes of the command. They are public and never change."""

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
    """Base class: an error with a message for the user.

    `name` and `exit_code` are public. `hint`: what to type next. `code`: the service's own code.
    `is_retryable`: the same command may succeed later. `about_job`: other jobs of the account may still be answered.
    `sure`: the service used a documented word or code. Only such errors are recorded in the history.
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
        """Support pickling: skip `__init__`, whose parameters differ between the classes."""
        return type(self).__new__, (type(self), *self.args), vars(self)


class UsageError(VideostatError):
    """The command line is not valid."""

    name, exit_code = "usage_error", ExitCode.USAGE


class ConfigError(UsageError):
    """The configuration is not valid."""

    name = "config_error"


class KeyRefused(VideostatError):
    """The service refused the API key."""

    name, exit_code = "key_refused", ExitCode.KEY


class KeyMissing(KeyRefused):
    """No API key is configured, or it cannot be read."""

    name = "key_missing"


class OutOfCredit(VideostatError):
    """The account has no credit left."""

    name, exit_code = "out_of_credit", ExitCode.CREDIT


class ServiceError(VideostatError):
    """The service refused the request; asking again will not help."""

    name, exit_code = "service_error", ExitCode.UNKNOWN


class Untrusted(VideostatError):
    """A certificate, redirect or address must not be followed."""

    name, exit_code = "untrusted", ExitCode.UNKNOWN


class JobFailed(VideostatError):
    """The job failed, so it has no video to save."""

    name, exit_code = "job_failed", ExitCode.FAILED


class Redirected(Untrusted):
    """The service redirects to another address; `location` is the full URL."""

    name = "redirected"
    location = ""


class NotFound(VideostatError):
    """The service does not know the job."""

    name, exit_code = "not_found", ExitCode.GONE


class Gone(VideostatError):
    """The video has expired or was deleted."""

    name, exit_code = "gone", ExitCode.GONE


class NotSaved(VideostatError):
    """The video exists but was not saved; downloading again may work."""

    name, exit_code, is_retryable = "not_saved", ExitCode.NOT_SAVED, True


class ExecFailed(VideostatError):
    """The command given with --exec failed."""

    name, exit_code = "exec_failed", ExitCode.EXEC


class OutputClosed(VideostatError):
    """The reader of stdout has closed it."""

    name, exit_code = "output_closed", ExitCode.BROKEN_PIPE


class Stopped(VideostatError):
    """The wait ended first; the job continues at the service."""

    name, exit_code, is_retryable = "stopped", ExitCode.RUNNING, True


class TimedOut(Stopped):
    """The timeout was reached before the job ended."""

    name, exit_code = "timed_out", ExitCode.TIMEOUT


class Interrupted(Stopped):
    """A signal ended the wait."""

    name, exit_code = "interrupted", ExitCode.INTERRUPTED

    def __init__(self, signum: int) -> None:
        name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
        super().__init__(f"interrupted by {name}")
        self.exit_code = ExitCode(128 + signum)


class Retryable(VideostatError):
    """A problem that may pass. `retry_after` is in seconds, None if the service gave no hint."""

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
    """The service limits the rate of requests."""

    name, exit_code = "rate_limited", ExitCode.CREDIT


class ServerError(Retryable):
    """The service failed with an internal error."""

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
    """The request used a key that has been replaced meanwhile."""

    name = "key_changed"


class NotReady(Retryable):
    """The video is not ready yet."""

    name, exit_code = "not_ready", ExitCode.RUNNING


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint with the closest known word, or with all of them."""
    from difflib import get_close_matches

    known = list(known)
    nearest = get_close_matches(word.lower(), known, n=1)
    return f"Did you mean {nearest[0]}?" if nearest else f"Known are {', '.join(known)}."
