"""Make single system calls of videostat fail, and check that it loses nothing and reports each failure correctly.

    .venv/bin/python tests/sweep.py [--only download]

Each command first runs once under strace, to find its system calls on its files. Then it runs with one fault for each
of these calls and each error of a disk, or a SIGKILL. After each of these runs, it runs once without a fault. The
script checks:

* a file with the final name is the whole video, and the command does not report it as not saved;
* the exit code fits, and there is no traceback and no "bug";
* the id is in the history, or a message says that the history cannot be used;
* the next run without a fault saves the video.

This needs strace. The script prints and counts the errors; its exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from videostat.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VIDEOSTAT = (sys.executable, "-m", "videostat")
KILL = "SIGKILL"
DISK_FULL = ("EIO", "ENOSPC", "EDQUOT")
FAULTS: Mapping[str, tuple[str, ...]] = {
    "openat": (*DISK_FULL, KILL),
    "mkdir": (*DISK_FULL, KILL),
    "write": (*DISK_FULL, KILL),
    "pwrite64": (*DISK_FULL, KILL),
    "fsync": ("EIO", "EINVAL", "ENOSPC", "EDQUOT", "ENOSYS", KILL),
    "fdatasync": ("EIO", "EINVAL", "ENOSPC", "EDQUOT", "ENOSYS", KILL),
    "ftruncate": ("EIO", "EINVAL", KILL),
    "rename": ("EIO", "EBUSY", "ENOSPC", KILL),
    "unlink": ("EIO", "EBUSY", KILL),
    "flock": ("ENOLCK", "ENOSYS", "EINVAL", "EIO", KILL),
    "fcntl": ("ENOLCK", "EIO", KILL),
    "fadvise64": ("EINVAL", "ENOSYS", KILL),
}
ID = "proj_done"
USAGE, NOT_SAVED = 2, 9  # exit codes


@dataclass(frozen=True)
class Command:
    """A command line to run. With `saves`, it must save the video."""

    name: str
    argv: tuple[str, ...]
    saves: bool = False
    stdin: str | None = None


COMMANDS = (
    Command("download", ("download", "jogg", ID, "--output-dir", "{folder}/videos"), saves=True),
    Command("wait", ("wait", "jogg", ID, "--download", "--output-dir", "{folder}/videos"), saves=True),
    Command("history", ("history",)),
    Command("set-key", ("config", "set-key", "jogg"), stdin="canary-0123456789"),
)


@dataclass(frozen=True)
class Place:
    """A new home folder and the files in it for which calls can fail."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def video(self) -> Path:
        """The path of the saved video."""
        return self.folder / "videos" / f"jogg-{ID}.mp4"

    @property
    def files(self) -> list[Path]:
        """The files and folders with known names."""
        state, config = self.folder / ".local/state/videostat", self.folder / ".config/videostat"
        stem = self.video.with_suffix("")
        return [
            *(self.video, self.video.parent, Path(f"{stem}.part"), Path(f"{stem}.part.json")),
            *(state, state / "history.db", state / "history.db-journal", config, config / "credentials.toml"),
        ]

    def run(self, command: Command, *strace: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this home. With options for strace, run it under strace."""
        traced = ("strace", "-f", "-qq", "-o", str(self.folder / "trace"), *strace) if strace else ()
        argv = [word.format(folder=self.folder) for word in command.argv]
        return subprocess.run(
            [*traced, *VIDEOSTAT, *argv],
            env={**self.environment, "HOME": str(self.folder), "PATH": os.environ["PATH"], "CI": "true"},
            cwd=self.folder,
            input=command.stdin or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def prepare(place: Place, command: Command) -> None:
    """Empty the home. For the command `history`, put a job into the history."""
    rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir()
    if command.name == "history":
        place.run(Command("status", ("status", "jogg", ID)))


@dataclass(frozen=True)
class Fault:
    """A system call that fails. `number` replaces the file if its name is random."""

    call: str
    target: Path
    kind: str
    number: int | None = None

    def __str__(self) -> str:
        return f"{self.call} of {self.target.name} with {self.kind}"

    @property
    def strace(self) -> list[str]:
        """The options for strace."""
        how = f"inject={self.call}:" + ("signal=KILL" if self.kind == KILL else f"error={self.kind}")
        if self.number is not None:
            return ["-e", f"trace={self.call}", "-e", f"{how}:when={self.number}"]
        once = ":when=1" if self.kind == KILL else ""
        return ["-e", f"trace={self.call}", "-e", how + once, "-P", str(self.target)]


def find_faults(place: Place, command: Command) -> list[Fault]:
    """Find the calls that a command makes on files of its home. Return each with each kind of fault."""
    prepare(place, command)
    place.run(command, "-y", "-e", f"trace={','.join(FAULTS)}")
    found: dict[Fault, None] = {}
    count = Counter[tuple[str, str]]()
    for line in (place.folder / "trace").read_text(errors="replace").splitlines():
        if call := re.match(r"(\d+) +(\w+)\(", line):
            thread, name = call.groups()
            count[thread, name] += 1
            # Take the first path; only a rename has two.
            named = re.search(r'<([^>]*)>|"([^"]*)"', re.sub(r"AT_FDCWD<[^>]*>, ", "", line))
            target = Path(named[1] or named[2]) if named else Path()
            if target.is_relative_to(place.folder) and target != place.folder:
                number = None if target in place.files else count[thread, name]
                found |= dict.fromkeys(Fault(name, target, kind, number) for kind in FAULTS[name])
    return [*found]


def find_errors(place: Place, command: Command, fault: Fault, video: bytes) -> Iterator[str]:
    """Run a command with one fault, then without. Yield the errors."""
    prepare(place, command)
    done = place.run(command, *fault.strace)
    is_killed = fault.kind == KILL
    is_there = place.video.exists()
    if is_there and place.video.read_bytes() != video:
        yield "the final file is not the video"
    if "Traceback" in done.stderr or "this is a bug" in done.stderr:
        yield f"a traceback: {done.stderr.strip()}"
    if not is_killed:
        fitting = {0} if is_there else {USAGE, NOT_SAVED} if command.saves else {0, USAGE}
        if done.returncode not in fitting:
            yield f"exit code {done.returncode} with the file {'there' if is_there else 'missing'}: {done.stderr}"
        if done.returncode and not done.stderr.strip():
            yield "no message"
    if command.saves:
        known = place.run(Command("history", ("history", "--all", "--quiet"))).stdout.split()
        # An unreadable configuration ends with 2. A kill on another file can come before the history is written.
        has_begun = done.returncode != USAGE and not (is_killed and place.video.parent not in fault.target.parents)
        if ID not in known and "history" not in done.stderr and has_begun:
            yield "the id is lost without a message"
    again = place.run(command)
    if again.returncode:
        yield f"the next run without a fault ends with {again.returncode}: {again.stderr}"
    elif command.saves and place.video.read_bytes() != video:
        yield "the next run saves a different file"


def main() -> int:
    """Try all faults and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[command.name for command in COMMANDS])
    chosen = parser.parse_args().only
    tried, wrong = Counter[str](), 0
    with Sandbox() as sandbox, TemporaryDirectory() as root:
        place = Place(Path(root).resolve() / "home", sandbox.environment)
        prepare(place, COMMANDS[0])
        place.run(COMMANDS[0])
        video = place.video.read_bytes()
        for command in COMMANDS:
            for fault in find_faults(place, command) if chosen in {None, command.name} else ():
                tried[command.name] += 1
                for error in find_errors(place, command, fault, video):
                    wrong += 1
                    print(f"{command.name}: {fault}: {error}", flush=True)  # noqa: T201
    print(f"tried {dict(tried)}, errors: {wrong}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
