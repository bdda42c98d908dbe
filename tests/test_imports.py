"""Test the rules of imports: only from lower levels, and each foreign library only in its own rooms."""

from __future__ import annotations

import ast
import re
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import videostat
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(videostat.__file__).parent

# From the bottom up; .github/CONTRIBUTING.md draws the same from the top down. A room imports from the levels below its
# own, never from its own level. Within a package, modules may import each other, but not in a circle.
LEVELS = (
    {"errors", "clock", "private"},
    {"models"},
    {"providers"},
    {"transport", "config", "history", "polling", "saving", "hooks"},
    {"client"},
    {"waiting"},
    {"render", "sandbox", "completion"},
    {"cli"},
    {"commands"},
)
HEIGHT = {name: height for height, level in enumerate(LEVELS) for name in level}

# `__init__` imports the library's names lazily, so it may import all of the library, and no module may import it.
FRONT = "__init__"
HEIGHT[FRONT] = HEIGHT["waiting"] + 1
HEIGHT["__main__"] = len(LEVELS)

# Services do not import each other; only the registry and the sandbox import them.
SHARED_BY_SERVICES = {"providers.base", "providers.reading", "providers.refusals"}

HTTP = {"transport"}
ONLY_IN = {
    "http.client": HTTP,
    "http.server": {"sandbox", "hooks"},
    "requests": HTTP,
    "rich": {"render"},
    "sqlite3": {"history"},
    "typer": {"commands", "cli"},
    "urllib3": HTTP,
}

KNOWS_PROVIDERS = {"providers", "sandbox"}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


SOURCES = {_module(path): path.read_text() for path in sorted(ROOT.rglob("*.py"))}
every_service = pytest.mark.parametrize("module", [m for m in SOURCES if m.startswith("providers.")])


def room(module: str) -> str:
    """Return the room a module is in: its package, or itself at the root."""
    name = module.partition(".")[0]
    if name not in HEIGHT:
        pytest.fail(
            f"{module} has no level yet: put {name} into LEVELS in {Path(__file__).name}, above everything it imports "
            "and below everything that imports it; the rooms of one level do not import each other"
        )
    return name


def is_service(module: str) -> bool:
    return module.startswith("providers.") and module not in SHARED_BY_SERVICES


def imports(module: str, source: str) -> Iterator[str]:
    """Yield the full name of each import in a module, also type-only and local ones."""
    package = f"{ROOT.name}.{module}"
    if not (ROOT / module.replace(".", "/")).is_dir():
        package = package.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def find_own_module(name: str) -> str | None:
    """Return the module of videostat that a full name belongs to, or None if it is foreign."""
    first, *rest = name.split(".")
    if first != ROOT.name or rest == ["__version__"]:
        return None
    while rest and ".".join(rest) not in SOURCES:
        rest.pop()
    return ".".join(rest) or FRONT


def find_forbidden_imports(module: str, source: str) -> list[str]:
    here = room(module)
    wrong = []
    for name in imports(module, source):
        target = find_own_module(name)
        if target is not None:
            there = room(target)
            if is_service(module) and there == "providers":
                is_allowed = target in SHARED_BY_SERVICES
            elif is_service(target):
                is_allowed = module == "providers" or here == "sandbox"
            else:
                is_allowed = here == there or (HEIGHT[there] < HEIGHT[here] and there != FRONT)
            if not is_allowed:
                wrong.append(name)
        elif any(f"{name}.".startswith(f"{library}.") and here not in homes for library, homes in ONLY_IN.items()):
            wrong.append(name)
    return wrong


def find_circles(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules that import themselves through others."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [*graph[start]]
        while waiting:
            if (module := waiting.pop()) not in found:
                found.add(module)
                waiting += graph.get(module, ())
        return found

    return [module for module in graph if module in reached(module)]


def find_provider_names(module: str, source: str) -> list[str]:
    own = {provider.name for provider in PROVIDERS.values() if provider.job.parse.__module__ == f"{ROOT.name}.{module}"}
    allowed = set(PROVIDERS) if room(module) in KNOWS_PROVIDERS and not is_service(module) else own
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and text in PROVIDERS.keys() - allowed]


def find_impure_calls(source: str, *, catching: bool = False) -> list[str]:
    """Return what a parse function must not do: print, open files, catch exceptions."""
    nodes = [*ast.walk(ast.parse(source))]
    called = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    tried = [] if catching else ["try" for node in nodes if isinstance(node, ast.Try | ast.TryStar)]
    return [name for name in called if name in {"print", "open", "input"}] + tried


def test_modules_import_only_what_their_level_allows() -> None:
    assert {
        module: wrong for module, source in SOURCES.items() if (wrong := find_forbidden_imports(module, source))
    } == {}


def test_provider_names_occur_only_where_providers_are_known() -> None:
    assert {module: named for module, source in SOURCES.items() if (named := find_provider_names(module, source))} == {}


@every_service
def test_provider_module_does_not_print_open_files_or_catch(module: str) -> None:
    # The shared readers may catch exceptions, so that the services need not.
    assert find_impure_calls(SOURCES[module], catching=module in SHARED_BY_SERVICES - {"providers.base"}) == []


def test_each_room_of_the_levels_exists() -> None:
    assert HEIGHT.keys() - SOURCES.keys() == set()


def test_map_in_contributing_matches_the_levels() -> None:
    text = (ROOT.parent / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## The map") : text.index("`guide/`")]
    lines = re.findall(r"^ {4}(\w+(?:, \w+)*) {2,}\S", section, re.MULTILINE)
    assert [{*line.split(", ")} for line in reversed(lines)] == [*LEVELS]


def test_imports_have_no_circles() -> None:
    graph = {
        module: {target for name in imports(module, source) if (target := find_own_module(name))} - {module}
        for module, source in SOURCES.items()
        if module != FRONT
    }
    assert find_circles(graph) == []
    assert find_circles({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == ["a", "b"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models", "from videostat.providers import base"),
        ("models", "import videostat.polling"),
        ("models", "from videostat import polling"),
        ("models", "from . import polling"),
        ("models", "from .polling import poll"),
        ("polling", "if TYPE_CHECKING:\n    from videostat.client import Client"),
        ("polling", "def wait():\n    from videostat.client import Client"),
        ("polling", "from videostat.transport import Transport"),
        ("polling", "from videostat import Job"),
        ("polling", "import videostat"),
        ("polling", "from videostat.providers.jogg import PROJECT"),
        ("polling", "import requests.adapters"),
        ("polling", "from http import client"),
        ("polling", "import http.server"),
        ("hooks.receiver", "from videostat.polling import poll"),
        ("polling", "from urllib3.util import Retry"),
        ("polling", "from rich.text import Text"),
        ("client", "import sqlite3"),
        ("client", "from videostat.providers import jogg"),
        ("client", "from videostat.render.text import clean"),
        ("commands.wait", "from videostat import Job"),
        ("commands.wait", "from rich import print"),
        ("commands.wait", "import http.client"),
        ("cli.run", "from videostat.commands.wait import wait"),
        ("polling.course", "from videostat.saving import download"),
        ("render.live", "import typer"),
        ("render.live", "from videostat.sandbox import Sandbox"),
        ("render.live", "from videostat.commands import main"),
        ("providers.jogg", "from videostat.providers import reelbot"),
        ("providers.jogg", "from videostat.providers import PROVIDERS"),
        ("providers.jogg", "from .reelbot import PROVIDER"),
        ("providers.reading", "from videostat.providers import jogg"),
        ("providers.reading", "from videostat.config import Account"),
        (FRONT, "from videostat.commands import main"),
    ],
)
def test_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(find_forbidden_imports(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("providers.jogg", "from videostat.providers import reading\nfrom videostat.providers.base import Job"),
        ("providers.newcomer", "from videostat.providers import base\nfrom videostat.errors import Gone"),
        ("providers", "from videostat.providers import doubao, jogg, reelbot"),
        ("transport", "import http.client, requests\nfrom videostat import __version__"),
        ("hooks.receiver", "from http.server import ThreadingHTTPServer\nfrom videostat.errors import UsageError"),
        ("render.live", "from rich.live import Live\nfrom videostat.render import text\nfrom .text import clean"),
        ("sandbox.server", "import http.server\nfrom videostat.providers import jogg\nfrom http import HTTPStatus"),
        ("commands.wait", "import typer, tomllib\nfrom videostat import client, polling, render, sandbox"),
        (FRONT, "from videostat.client import Client\nfrom videostat.models import Job"),
        ("__main__", "from videostat.commands import main"),
    ],
)
def test_allowed_import_is_accepted(module: str, source: str) -> None:
    assert find_forbidden_imports(module, source) == []


def test_misplaced_provider_name_is_found() -> None:
    source = '"""Of reelbot."""\nif account == "reelbot" or account in {"jogg-avatar": 1}: say("jogg and reelbot")'
    assert find_provider_names("commands.wait", source) == ["reelbot", "jogg-avatar"]
    assert find_provider_names("providers.jogg", source) == ["reelbot"]
    assert find_provider_names("sandbox.server", source) == []


def test_printing_opening_and_catching_are_found() -> None:
    source = "try:\n    print(open(path))\nexcept OSError:\n    pass"
    assert find_impure_calls(source) == ["print", "open", "try"]
    assert find_impure_calls(source, catching=True) == ["print", "open"]


def test_new_module_without_a_level_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="newcomer has no level yet"):
        find_forbidden_imports("newcomer", "")
    assert room("render.newcomer") == "render"
