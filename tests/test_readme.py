"""Test the README and the guide: run each command, and compare the tables with the program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import pytest
import renew
from typer.main import get_command

from videostat import errors
from videostat.clock import Clock
from videostat.commands import app
from videostat.errors import ExitCode, VideostatError
from videostat.models import FIELDS, SAVING_FIELDS, Job, JobRef
from videostat.providers import PROVIDERS
from videostat.render.answers import format_json
from videostat.sandbox.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from conftest import Videostat

    from videostat.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "videostat" / "guide"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
# The text of each page, by its path.
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted(GUIDE.glob("*.md")), CONTRIBUTING, ROOT / "tests/benchmarks/README.md")
}
README = PAGES[ROOT / "README.md"]
NEW = "write it anew: python tests/renew.py"

Command = Any  # Typer's copy of click is private

# Run scripts in bash with the options that CI services set.
SHELL = f'videostat() {{ {shlex.quote(sys.executable)} -m videostat "$@"; }}; set -eu -o pipefail; '

JOBS = [
    *("jogg:proj_abc123", "jogg:proj_def456", "jogg-avatar:avatar_9f2", "jogg-product:product_77"),
    *("reelbot:reel_42", "doubao:task_7"),
]


def blocks(language: str) -> list[Any]:
    """Return the code blocks of all pages as test parameters, named after the page and the first command."""
    return [
        pytest.param(block, id=f"{path.stem}: {find_title(block)}")
        for path, text in PAGES.items()
        for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def tables(header: str, page: str = README) -> list[list[list[str]]]:
    """Return the cells of each row below each table header with this text."""
    return [
        [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in text.splitlines()[1:]]
        for text in re.findall(rf"^\| {re.escape(header)} \|\n(.*?)(?:\n\n|\n?\Z)", page, re.DOTALL | re.MULTILINE)
    ]


def find_title(script: str) -> str:
    return next((line for line in script.splitlines() if "videostat" in line), script)[:50].strip()


def commands(command: Command, path: str = "videostat") -> Iterator[tuple[str, Command]]:
    """Yield each command that can be run, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(get_command(app)))


class ShiftedClock(Clock):
    """A clock of the sandbox that can be ahead of or behind real time."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def prepared_folder(videostat: Videostat, sandbox: Sandbox, clock: ShiftedClock, tmp_path: Path) -> Path:
    """Prepare a folder with a job file, a key file, and a history whose jobs were seen an hour ago."""
    clock.ahead = timedelta(hours=-1)
    assert videostat("status", *JOBS).code == 0
    clock.ahead = timedelta(0)
    (tmp_path / "jobs.txt").write_text("".join(f"{job}\n" for job in JOBS))
    (tmp_path / "key.txt").write_text(f"{sandbox.get_key('jogg')}\n")
    sandbox.requests.clear()
    return tmp_path


def run(script: str, prepared_folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", SHELL + script],
        cwd=prepared_folder,
        input="a-key-that-is-typed\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.slow
@pytest.mark.parametrize("script", blocks("sh"))
def test_every_command_of_the_pages_works(prepared_folder: Path, script: str, port: int) -> None:
    done = run(script.replace("8080", str(port)), prepared_folder)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"^videostat: (?!this key is not used|skipped )", done.stderr, re.MULTILINE), done.stderr
    for branch in ("the job failed", "see the message above", "still running"):
        assert branch not in done.stdout


@pytest.mark.parametrize(
    "step", dict.fromkeys(re.findall(r"^ *- (?:run: )?(videostat .*)", "".join(PAGES.values()), re.MULTILINE))
)
def test_ci_steps_save_the_video_in_the_folder_videos(prepared_folder: Path, step: str) -> None:
    done = run(f"PROJECT_ID=proj_abc123; {step}", prepared_folder)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (prepared_folder / "videos").iterdir()] == ["jogg-proj_abc123.mp4"]


@pytest.mark.parametrize("program", blocks("python"))
def test_every_program_of_the_pages_works(prepared_folder: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=prepared_folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for branch in ("later", "never", "the key:", "again"):
        assert branch not in done.stdout
    if "videostat.log" in program:
        assert "DEBUG:videostat:> GET " in (prepared_folder / "videostat.log").read_text()
    if "save(" in program:
        assert [*(prepared_folder / "videos").glob("jogg-proj_abc123.mp4")]


def test_code_blocks_use_only_known_languages() -> None:
    languages = {name: {*re.findall(r"^```(\w+)\n", text, re.MULTILINE)} for name, text in PAGES.items()}
    assert set().union(*languages.values()) == {"sh", "console", "yaml", "json", "python", "mermaid"}


def test_example_of_a_json_error_matches_the_output(videostat: Videostat) -> None:
    (example,) = (block.values[0] for block in blocks("json"))
    got = videostat("status", "jogg", "proj_1", "--fields", "stat")
    assert got.stderr.splitlines()[-1] == example.strip()


def test_ci_examples_install_only_videostat() -> None:
    installed = re.findall(r"^ *- (?:run: )?(?:pipx|pip|uv) .*?install (.*)$", "".join(PAGES.values()), re.MULTILINE)
    assert installed == ['"$VIDEOSTAT_PACKAGE"'] * 2


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) - len(PROVIDERS) <= 215, "a service has a row, and the rest no more than this"


def examples(command: Command) -> list[str]:
    return [line.strip() for line in command.help.splitlines() if line.startswith("  videostat ")]


def test_every_example_of_the_help_works(videostat: Videostat, prepared_folder: Path) -> None:
    for path, command in COMMANDS.items():
        # These have tests of their own: one takes long, the others run until they are stopped.
        has_its_own = path in {"videostat demo", "videostat sandbox", "videostat listen"}
        for example in () if has_its_own else examples(command):
            got = videostat(*shlex.split(example.partition(" > ")[0])[1:], stdin="a-key-that-is-typed\n")
            assert got.code == 0, (example, got.stderr)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_has_a_purpose_an_example_and_the_exit_codes(videostat: Videostat, path: str) -> None:
    shown = videostat(*path.split()[1:], "--help").stdout
    assert "\n For example:" in shown
    assert f"\n   {path}" in shown
    assert "\n Exit code: " in shown
    purpose = shown.strip().splitlines()[2].strip()
    assert re.fullmatch(r"[A-Z].*\.", purpose), purpose


def test_readme_lists_exactly_the_existing_exit_codes() -> None:
    (rows,) = tables("exit code | meaning | errors")
    listed = [int(code) for row in rows for code in re.findall(r"\d+", row[0])]
    assert sorted(listed) == sorted(ExitCode)


def test_readme_names_the_errors_of_each_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VideostatError)]
    for codes, _, names in tables("exit code | meaning | errors")[0]:
        expected = {kind.name for kind in kinds if str(int(kind.exit_code)) in codes.split(", ")}
        # `retryable` is only a base class; every error has a more specific name.
        assert {*re.findall(r"\w+", names)} == expected - {"retryable"}, codes


def test_readme_lists_exactly_the_existing_json_fields() -> None:
    listed, also = re.findall(r"`([a-z_ \n]+)`", README[README.index("The JSON fields") :])[:2]
    job = Job(ref=JobRef("jogg", "x"))
    assert listed.split() == [*json.loads(format_json(job))]
    assert [*listed.split(), *also.split()] == [*json.loads(format_json(job, saving=True))]


def test_each_json_field_is_described_as_in_the_model() -> None:
    fields, also = tables("field | meaning", PAGES[GUIDE / "ci.md"])
    assert fields == [[field.name, field.about] for field in FIELDS]
    assert also == [[field.name, field.about] for field in SAVING_FIELDS]


def test_each_explained_message_occurs_in_the_source() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "videostat").rglob("*.py"))
    explained = tables("message | cause | what to do", PAGES[GUIDE / "troubleshooting.md"])
    messages = [row[0] for rows in explained for row in rows if not row[0].startswith(("exit code", "files"))]
    assert len(messages) > 10
    pieces = [piece.strip(" ,'") for message in messages for piece in message.split("...")]
    assert [piece for piece in pieces if piece not in source] == []


def test_services_in_the_readme_match_the_registry() -> None:
    assert renew.renew_page(ROOT / "README.md") == README, NEW


SIMULATED = [provider for provider in PROVIDERS.values() if provider.key_group in DIALECTS]


def test_each_simulated_service_has_an_example() -> None:
    scripts = "".join(block.values[0] for block in blocks("sh"))
    names = [provider.name for provider in SIMULATED]
    assert [name for name in names if not re.search(rf"^videostat wait {name} \S+", scripts, re.MULTILINE)] == []


def test_readme_states_the_floors_of_the_simulated_services() -> None:
    floors = sorted({f"{provider.polling.floor:g}" for provider in SIMULATED}, key=int, reverse=True)
    assert f"({', '.join(floors[:-1])} and {floors[-1]} seconds)" in README


def test_every_option_named_in_the_pages_exists() -> None:
    known = {"--version", "--help"}
    for command in COMMANDS.values():
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    text = "\n".join([*PAGES.values(), *(line for command in COMMANDS.values() for line in examples(command))])
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - known == {"--strict"}, "but for mypy's"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_heading_named_in_the_pages_exists(page: Path) -> None:
    text = PAGES[page]
    assert [
        name for name in re.findall(r"`((?:tests|videostat|\.ci)/[\w./]+)`", text) if not (ROOT / name).exists()
    ] == []
    for name, anchor in re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", text):
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), name
        if anchor:
            headings = re.findall(r"^#+ (.*)$", PAGES[there], re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_guide_is_linked_from_the_readme() -> None:
    assert [path.name for path in GUIDE.iterdir() if f"](videostat/guide/{path.name}" not in README] == []


def texts(svg: str) -> list[str]:
    """Return the texts of a picture; their positions depend on the version of rich."""
    return re.findall(r"<text[^>]*>(.*?)</text>", svg)


def test_picture_in_the_readme_matches_what_the_program_draws() -> None:
    stored = renew.PICTURE.read_text(encoding="utf-8")
    assert texts(stored) == texts(run_path(str(renew.PICTURE.with_name("make.py")))["draw_picture"]()), NEW
    assert len(texts(stored)) > 40
    assert "http" not in re.sub(r"xmlns=\S+|<!--.*?-->", "", stored)


def test_diagram_of_the_course_matches_its_table() -> None:
    assert renew.renew_page(CONTRIBUTING) == PAGES[CONTRIBUTING], NEW


def test_ci_runs_the_test_command_of_the_readme() -> None:
    line = next(line.strip() for line in README.splitlines() if line.strip().endswith(".venv/bin/pytest"))
    assert line in (ROOT / ".ci" / "run").read_text().splitlines()
