"""Change single expressions of polling, saving and history, and check that a test fails.

    .venv/bin/python tests/mutate.py [--mutants N] [--seed S] [--room polling]

Each mutant is one change to one module in a copy of the repository: a comparison, a condition, a constant or a call is
replaced. Then the tests of that package must fail. The seed chooses the mutants. Mutants for which all tests pass
survive; they are printed as `file:line: function: before -> after`. The exit code is 1 if one of them is not in
EQUIVALENT.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
TESTS = {
    "polling": ["tests/polling", "tests/test_library.py"],
    "saving": ["tests/saving", "tests/commands/test_download_command.py"],
    "history": ["tests/history", "tests/commands/test_history_command.py"],
}
# Changes that no test should notice, as `module: function: before -> after`, each with its reason.
EQUIVALENT = {
    "history/database.py: _connect: True -> False": "SQLite may be built to read every name as a URI",
    "history/database.py: _run: sleep(0.005) -> pass": "the lock is asked for more often",
    "history/record.py: module: 500 -> 501": "how much of a text is kept is no promise",
    "history/database.py: close: self._db.close() -> pass": "the process ends, or the database is opened anew",
    "polling/ending.py: _end: self._looks.remove(task) -> pass": "a look at an ended job is dropped when it is due",
    "polling/keygroups.py: module: 1000 -> 1001": "how many answers are remembered is no promise",
    "polling/keygroups.py: on_answer: 2 * len(self.heard_at) + REMEMBERED -> 2 * len(self.heard_at) - REMEMBERED": (
        "how many answers are remembered is no promise"
    ),
    "polling/hints.py: module: 60 -> 61": "a minute is meant, not its last second",
    "polling/keygroups.py: on_answer: now - at < LONGEST_PAUSE -> now - at <= LONGEST_PAUSE": "times are never equal",
    "polling/loop.py: _put_off: self._looks.get_due(task) < due -> self._looks.get_due(task) <= due": "the time stays",
    "polling/loop.py: wait: now >= self._deadline -> now > self._deadline": "two times are never equal",
    "polling/sending.py: _is_next: False -> True": "a planned look is queued anew when it is due",
    "polling/sending.py: _take: task.group.mode is not Mode.OPEN -> task.group.mode is Mode.OPEN": (
        "the number of attempts gives the same order"
    ),
    "polling/workers.py: close: self._steps.put(None) -> pass": "the tests of the transport count the threads",
    "saving/attempt.py: _set_aside: 0 -> 1": "one byte on the screen, for a moment",
    "saving/container.py: module: 12 -> 13": "one byte more is read before the content is named",
    "saving/elements.py: _read_element: 0 -> 1": "nothing is read beyond the end of a file",
    "saving/elements.py: _read_track_types: track.id == _TRACK and track.end -> track.id == _TRACK or track.end": (
        "no other element has a track type"
    ),
    "saving/partfile.py: __exit__: True -> False": "the part is there until it is removed",
    "saving/partfile.py: append: os.posix_fadvise(self.fd, self._written_out, self.size - self._written_out,"
    " os.POSIX_FADV_DONTNEED) -> pass": "the page cache is no promise",
    "saving/videoreader.py: read_header: 0 -> 1": "one part more or less in a million",
    "polling/loop.py: _choose_wait: wait <= usual -> wait < usual": "both branches are the same for equal values",
    "polling/task.py: Task: False -> True": "the loop gives this field; it takes nothing from its default",
    "saving/__init__.py: _sleep: now + seconds >= deadline -> now + seconds > deadline": "two times are never equal",
    "saving/attempt.py: _read_pieces: 0 -> 1": "one byte more in thirty seconds",
    "saving/attempt.py: _save_from_start: len(head) >= is_enough -> len(head) > is_enough": "one more piece is read",
    "saving/boxes.py: inspect_boxes: 0 -> 1": "no chunk begins in the first box",
    "saving/boxes.py: _Index: 1 -> 2": "any negative offset means that there is none",
    "saving/boxes.py: _read_last_offset: 1 -> 2": "any negative offset means that there is none",
    "saving/boxes.py: module: 16 -> 17": "a table may be read in pieces of any length",
    "saving/partfile.py: _read_note: 16 -> 17": "a side-car is far shorter than the most that is read of it",
    "saving/partfile.py: module: 4 -> 5": "the disk may be asked to write a little later",
    "saving/partfile.py: append: self.size - self._written_out >= WRITE_OUT"
    " -> self.size - self._written_out > WRITE_OUT": "the disk may be asked to write a little later",
}
TIMEOUT = 300  # seconds for the tests of one mutant; a mutant that hangs does not survive

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
}


class Mutant(NamedTuple):
    """A change to one line of a module. `owner`: its function or class. `source`: the changed module."""

    path: Path
    line: int
    owner: str
    change: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.owner}: {self.change}"

    @property
    def is_equivalent(self) -> bool:
        """Tell whether no test should notice the change."""
        return f"{self.path.relative_to('videostat')}: {self.owner}: {self.change}" in EQUIVALENT


def mutate(node: ast.AST) -> ast.AST | None:
    """Return a changed copy of the node, or None if there is nothing to change."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            changed.ops = [SWAPS[type(op)]()]  # type: ignore[list-item]
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in SWAPS:
            changed.op = SWAPS[type(op)]()  # type: ignore[assignment]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            changed.value = not value
        case ast.Constant(value=int(value)) | ast.Constant(value=float(value)):
            changed.value = value + 1
        case ast.IfExp(test=test) | ast.If(test=test) | ast.While(test=test):
            changed.test = ast.UnaryOp(ast.Not(), test)
        case ast.Expr(value=ast.Call() | ast.Yield()):
            return ast.Pass()
        case _:
            return None
    return changed


def make_mutants(path: Path) -> Iterator[Mutant]:
    """Yield all mutants of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hints = [
        node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation
    ]
    decorators = [each for node in ast.walk(tree) for each in getattr(node, "decorator_list", ())]
    for_types = [
        node.test for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    skipped = {id(part) for each in [*hints, *decorators, *for_types] for part in ast.walk(each)}
    skipped |= {id(node) for node in tree.body if isinstance(node, ast.If) and node.test in for_types}
    definitions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    owners = {id(part): each.name for each in definitions for part in ast.walk(each)}
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            for index, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST) or id(node) in skipped or (new := mutate(node)) is None:
                    continue
                new = ast.copy_location(new, node)
                if isinstance(value, list):
                    value[index] = new
                else:
                    setattr(parent, name, new)
                before, after = (ast.unparse(each).partition("\n")[0] for each in (node, new))
                yield Mutant(
                    path.relative_to(ROOT),
                    node.lineno,  # type: ignore[attr-defined]
                    owners.get(id(node), "module"),
                    f"{before} -> {after}",
                    ast.unparse(tree),
                )
                if isinstance(value, list):
                    value[index] = node
                else:
                    setattr(parent, name, node)


def has_survived(mutant: Mutant, folder: Path) -> bool:
    """Run the tests of the mutant's package in a copy of the repository. Return whether they pass."""
    target = folder / mutant.path
    original = target.read_text(encoding="utf-8")
    target.write_text(mutant.source, encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", ""]
    try:
        done = subprocess.run(
            [*argv, *TESTS[mutant.path.parts[1]]],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original, encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """Try the chosen mutants and print those that survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", choices=TESTS)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    rooms = [given.room] if given.room else [*TESTS]
    every = [
        each
        for room in rooms
        for path in sorted((ROOT / "videostat" / room).glob("*.py"))
        for each in make_mutants(path)
    ]
    chosen = random.Random(given.seed).sample(every, min(given.mutants, len(every)))
    with TemporaryDirectory() as root, ThreadPoolExecutor(given.workers) as pool:
        shares = [chosen[start :: given.workers] for start in range(given.workers)]

        def try_all(number: int) -> list[Mutant]:
            folder = Path(root) / str(number)
            copytree(ROOT, folder, ignore=ignore_patterns(".git", ".venv", "*cache*", "dist"))
            return [mutant for mutant in shares[number] if has_survived(mutant, folder)]

        survivors = [mutant for found in pool.map(try_all, range(given.workers)) for mutant in found]
    for mutant in sorted(survivors):
        print(mutant)  # noqa: T201
    print(f"{len(chosen)} of {len(every)} mutants, seed {given.seed}: {len(survivors)} survive")  # noqa: T201
    return 0 if all(mutant.is_equivalent for mutant in survivors) else 1


if __name__ == "__main__":
    sys.exit(main())
