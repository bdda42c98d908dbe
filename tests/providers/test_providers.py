"""Test the contract of a provider with the registry and the answers in fixtures/<provider>/."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, cast, get_origin, get_type_hints

import pytest
from fakes import api_answer
from hypothesis import given, settings
from hypothesis import strategies as st

from videostat import providers
from videostat.client import Client
from videostat.config import Settings
from videostat.errors import VideostatError
from videostat.models import Job, JobRef, State
from videostat.providers import PROVIDERS
from videostat.providers.base import Answer, Page, Provider
from videostat.providers.reading import find_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from videostat.transport import Transport

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECEIVED_AT = datetime(2025, 1, 21, 16, tzinfo=UTC)
ID = "proj_abc123"
ENDPOINTS = ("job", "video", "listing")
SHARED = "videostat/providers/reading.py and refusals.py have the names of the fields; add the service's own at the end"

type_hints = {
    name: get_origin(hint) if get_origin(hint) is dict else hint
    for name, hint in get_type_hints(Job, localns={"Mapping": dict}).items()
}
every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)


def folder(provider: Provider) -> Path:
    return FIXTURES / provider.name


def shorten_path(path: Path) -> str:
    return str(path.relative_to(FIXTURES.parents[1]))


def fixtures(provider: Provider) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder(provider).glob("*.json"))}


def parse(
    provider: Provider, endpoint: str, answer: Answer, job_id: str = ID, asked: list[str] | None = None
) -> Job | Page:
    """Read an answer as the client does; `asked` gets the lines of the request."""
    job = Job(ref=JobRef(provider.name, job_id), needs_url=endpoint == "video")
    environment = {provider.key_variable: "KEY"}
    if provider.base_url is None:
        environment[f"VIDEOSTAT_{provider.key_group.upper().replace('-', '_')}_BASE_URL"] = GATEWAY
    transport = OneAnswer(answer, [] if asked is None else asked)
    client = Client(Settings(Path("none"), environment), cast("Transport", transport))
    return client.fetch_page(provider.name, 1) if endpoint == "listing" else client.look(job)


@dataclass
class OneAnswer:
    """A transport that gives one answer and records the requests."""

    answer: Answer
    asked: list[str]

    def ask(self, method: str, base_url: str, path: str, auth: Mapping[str, str]) -> Answer:
        self.asked += [f"{method} {base_url}{path}", *map(": ".join, auth.items())]
        return self.answer


GATEWAY = "https://gateway.example.com"


def parse_fixture(provider: Provider, fixture: dict[str, Any], asked: list[str] | None = None) -> Job | Page:
    answer = api_answer(fixture["http"], fixture["headers"], fixture["body"], RECEIVED_AT)
    return parse(provider, fixture.get("endpoint", "job"), answer, fixture.get("id", ID), asked)


def to_expected(parsed: Job | Page) -> dict[str, Any]:
    """Convert a job or page to the form of `expect` in a fixture: no empty values, times in ISO 8601."""
    if isinstance(parsed, Page):
        return {"total": parsed.total, "jobs": [{"id": job.ref.id, **to_expected(job)} for job in parsed.jobs]}
    found = {f.name: getattr(parsed, f.name) for f in fields(parsed) if f.name not in {"ref", "seen_at"}}
    return {
        name: value.isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in found.items()
        if value is not None and value is not False and bool(value or value == 0) and (name, value) != ("sure", True)
    }


def locate_module(provider: Provider) -> str:
    return f"videostat/providers/{provider.job.parse.__module__.rpartition('.')[2]}.py"


def say_what_to_correct(provider: Provider, expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Say for each field that is read wrongly which part of the provider gives it."""
    module = locate_module(provider)
    parts = {
        **dict.fromkeys(("state", "status"), f"words in {module}"),
        **dict.fromkeys(("video_url", "alternative_urls"), "VIDEO in videostat/providers/reading.py"),
        "kept_until": f"retention in {module}",
        "jobs": f"the parse function of the list in {module}; a row without an id or a known status is skipped",
    }
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    return "; ".join(f"{name}: see {parts.get(name, f'the parse function in {module}')}" for name in wrong)


@pytest.mark.parametrize(
    ("provider", "name", "fixture"),
    [
        pytest.param(provider, name, fixture, id=f"{provider.name}/{name}")
        for provider in PROVIDERS.values()
        for name, fixture in fixtures(provider).items()
    ],
)
def test_fixture_is_read_as_it_expects(provider: Provider, name: str, fixture: dict[str, Any]) -> None:
    where, module = f"{shorten_path(folder(provider) / name)}.json says otherwise", locate_module(provider)
    if fixture.get("endpoint") == "created":
        assert {"id": provider.created(fixture["body"])} == fixture["expect"], f"{where}: correct created in {module}"
        return
    if "expect" in fixture:
        try:
            parsed = parse_fixture(provider, fixture)
        except VideostatError as problem:
            pytest.fail(f"{where}: it is read as {problem!r}. {SHARED}")
        found = to_expected(parsed)
        assert found == fixture["expect"], f"{where}. {say_what_to_correct(provider, fixture['expect'], found)}"
        return
    with pytest.raises(VideostatError) as caught:
        parse_fixture(provider, fixture)
    error = caught.value
    assert type(error).__name__ == fixture["raises"], where
    assert error.code == fixture.get("code"), f"{where}. {SHARED}"
    assert getattr(error, "retry_after", None) == fixture.get("retry_after"), where
    text = f"{error} {error.hint}"
    unsaid = [words for words in fixture.get("says", ()) if words not in text]
    assert unsaid == [], f"{where}. {SHARED}, or a hint to hints in {module}"
    assert not re.search(r"[{}\n]", text)


@every_provider
def test_each_fixture_is_complete_and_names_its_source(provider: Provider) -> None:
    readme = folder(provider) / "README.md"
    lines = readme.read_text().splitlines() if readme.exists() else []
    sources = {
        found[1]: found[2] for line in lines if (found := re.match(r"\* `(\w+)`(?:, (\d{4}-\d\d-\d\d))?: \S", line))
    }
    answer = {"source", "http", "headers", "body"}
    error = {"code", "retry_after", "says"}
    for name, fixture in fixtures(provider).items():
        where = f"{shorten_path(folder(provider) / name)}.json"
        missing = [key for key in sorted(answer) if key not in fixture]
        assert missing == [], f"add to {where}: {', '.join(missing)}; tests/fixtures/README.md says what they mean"
        assert ("expect" in fixture) != ("raises" in fixture), f"add to {where}: expect or raises"
        known = answer | {"request", "endpoint", "id"} | ({"expect"} if "expect" in fixture else {"raises", *error})
        assert fixture.keys() <= known, f"take from {where}: {', '.join(fixture.keys() - known)}"
        source = fixture["source"]
        assert source in sources, f"add to {shorten_path(readme)} a line: * `{source}`, YYYY-MM-DD: where it was seen"
        assert sources[source] or source == "derived", f"add to {shorten_path(readme)} the day `{source}` was seen"


@every_provider
def test_names_of_fixtures_differ_by_more_than_case(provider: Provider) -> None:
    assert [name for name, times in Counter(map(str.casefold, fixtures(provider))).items() if times > 1] == []


@every_provider
def test_fixtures_cover_each_outcome_and_endpoint(provider: Provider) -> None:
    jobs = [fixture for fixture in fixtures(provider).values() if fixture.get("endpoint", "job") == "job"]
    outcomes = {(fixture.get("expect") or {}).get("state") or fixture.get("raises") for fixture in jobs}
    wanted = {State.SUCCEEDED, State.FAILED, "NotFound", "KeyRefused"}
    missing = [f"an answer that is read as {outcome}" for outcome in sorted(wanted - outcomes)]
    if not any(fixture.get("endpoint") == "created" for fixture in fixtures(provider).values()):
        missing.append("the answer to a request that creates a job (endpoint: created)")
    if not outcomes & {State.QUEUED, State.RUNNING}:
        missing.append("an answer about a job that goes on")
    for endpoint in ENDPOINTS:
        recorded = [each for each in fixtures(provider).values() if each.get("endpoint", "job") == endpoint]
        if getattr(provider, endpoint) and not any("request" in fixture for fixture in recorded):
            missing.append(f"the request of the {endpoint} beside one of its answers")
        assert getattr(provider, endpoint) or not recorded, f"{endpoint} is no endpoint of {provider.name}"
    assert missing == [], f"add to {shorten_path(folder(provider))}/: {'; '.join(missing)}"


@every_provider
def test_each_word_and_each_code_has_a_fixture(provider: Provider) -> None:
    # The kinds of job of one service share their fixtures.
    alike = [each for each in PROVIDERS.values() if each.key_group == provider.key_group]
    recorded = [fixture for each in alike for fixture in fixtures(each).values()]
    words = {fixture["expect"]["status"].casefold() for fixture in recorded if "status" in fixture.get("expect", ())}
    codes = {fixture.get("code") for fixture in recorded}
    missing = [
        *(f"an answer with the word {word}" for word in sorted(provider.words.keys() - words)),
        *(f"an answer with the code {code}" for code in sorted(provider.codes.keys() - codes) if " " not in code),
    ]
    others = f"or correct words and codes in {locate_module(provider)}"
    assert missing == [], f"add to {shorten_path(folder(provider))}/: {'; '.join(missing)}; {others}"


@every_provider
def test_each_documented_code_is_known(provider: Provider) -> None:
    """A code that a document shows is in `codes`, so that its answer is sure."""
    recorded = [
        (each["code"], f"{each['http']} {each['code']}")
        for each in fixtures(provider).values()
        if each.get("code") and each["raises"] != "Unreadable" and each["source"] != "derived"
    ]
    unknown = sorted({code for code, with_status in recorded if not {code, with_status} & provider.codes.keys()})
    assert unknown == [], f"add to codes in {locate_module(provider)}: {', '.join(unknown)}"


@every_provider
def test_own_id_is_a_field_of_a_recorded_task(provider: Provider) -> None:
    bodies = [(find_task(each["body"]), each.get("id", ID)) for each in fixtures(provider).values()]
    tasks = [(task, job_id) for task, job_id in bodies if task]
    is_seen = any(task.get(provider.own_id or "") == job_id for task, job_id in tasks)
    where = f"correct own_id in {locate_module(provider)}"
    named = f"no answer in {shorten_path(folder(provider))}/ has its id in a field {provider.own_id}: {where}"
    assert not provider.own_id or not tasks or is_seen, named


def test_each_provider_and_each_folder_of_answers_is_registered() -> None:
    modules = [import_module(f"videostat.providers.{each.name}") for each in iter_modules(providers.__path__)]
    values = [value for module in modules for value in vars(module).values() if isinstance(value, Provider)]
    folders = {path.name for path in FIXTURES.iterdir() if path.is_dir()} - {"deliveries", "films"}
    unknown = ({each.name for each in values} | folders) - PROVIDERS.keys()
    assert unknown == set(), f"add to _ALL in videostat/providers/__init__.py: {', '.join(unknown)}"


@every_provider
def test_the_endpoints_are_paths_below_the_base_url(provider: Provider) -> None:
    assert provider.base_url is None or re.fullmatch(r"https://[^/]+", provider.base_url)
    for endpoint in filter(None, (provider.job, provider.video)):
        assert endpoint.path.startswith("/")
        assert endpoint.path.count("{id}") == 1
    if provider.listing:
        assert re.fullmatch(r"/[^{}?]+", provider.listing.path)
        assert provider.listing.max_size >= 1


@every_provider
def test_polling_times_are_consistent(provider: Provider) -> None:
    polling, (shortest, longest) = provider.polling, provider.polling.every
    assert 0 < polling.floor <= shortest <= longest < polling.timeout
    assert 0 <= polling.first < polling.timeout
    named = f"in polling of {locate_module(provider)}: every[0] < quickest < usual < timeout"
    assert shortest < polling.quickest < polling.usual < polling.timeout, named
    assert provider.max_requests_per_second > 0
    assert all(kept > timedelta() for kept in provider.retention.values())


@pytest.mark.parametrize(
    ("provider", "fixture"),
    [
        pytest.param(provider, fixture, id=f"{provider.name}-{fixture.get('endpoint', 'job')}")
        for provider in PROVIDERS.values()
        for fixture in fixtures(provider).values()
        if "request" in fixture
    ],
)
def test_request_is_as_the_service_documents(provider: Provider, fixture: dict[str, Any]) -> None:
    asked: list[str] = []
    with suppress(VideostatError):
        parse_fixture(provider, fixture, asked)
    assert asked == fixture["request"], f"auth, base_url or a path in {locate_module(provider)} is another"


@pytest.mark.parametrize(
    ("name", "polling", "per_second"),
    [
        ("jogg", {"first": 30, "every": (10, 15), "floor": 10, "timeout": 600}, 50),
        ("jogg-avatar", {"first": 30, "every": (10, 15), "floor": 10, "timeout": 600}, 50),
        ("jogg-product", {"first": 30, "every": (10, 15), "floor": 10, "timeout": 1800}, 50),
        ("doubao", {"first": 0, "every": (5, 10), "floor": 5, "timeout": 600}, 50),
        ("reelbot", {"first": 0, "every": (3, 5), "floor": 3, "timeout": 600}, 1),
    ],
)
def test_polling_times_are_as_the_service_documents(name: str, polling: dict[str, object], per_second: float) -> None:
    provider = PROVIDERS[name]
    assert asdict(provider.polling).items() >= polling.items()
    assert provider.max_requests_per_second == per_second


def test_reelbot_video_and_jogg_list_endpoints_are_as_documented() -> None:
    video = PROVIDERS["reelbot"].video
    assert video
    assert video.path == "/api/v1/video/download/{id}"
    lists = {name: provider.listing for name, provider in PROVIDERS.items() if provider.listing}
    assert {
        "jogg": ("/v2/projects", "limit", 100),
        "jogg-product": ("/v2/product_videos", "page_size", 100),
    }.items() <= {name: (listing.path, listing.size_param, listing.max_size) for name, listing in lists.items()}.items()


@pytest.mark.parametrize("name", ["jogg", "jogg-avatar", "jogg-product"])
def test_jogg_keeps_videos_30_days_failures_7_and_queued_jobs_1(name: str) -> None:
    kept = {state: duration.days for state, duration in PROVIDERS[name].retention.items()}
    assert kept == {State.SUCCEEDED: 30, State.FAILED: 7, State.QUEUED: 1}


def test_providers_of_one_account_share_its_key_and_address() -> None:
    shared: dict[str, set[object]] = {}
    for name, provider in PROVIDERS.items():
        assert name == provider.name
        shared.setdefault(provider.key_group, set()).add((provider.base_url, provider.auth, provider.key_variable))
    assert [account for account, values in shared.items() if len(values) > 1] == []


# Any JSON: wrong types in every field, and odd values that the JSON parser of Python accepts.

NASTY: list[Any] = [
    *(
        "",
        " ",
        "0",
        "NaN%",
        "1e999",
        "-1",
        "45%",
        "\x1b[31m",
        "\ud800",
        "\u0664\u0662",
        "success",
        "COMPLETED",
        "failed",
    ),
    *("http://[::1", "http://", "https://a b/", "https://example.com/a.mp4", "javascript:1", "//example.com"),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2025-01-21T16:00:00.000Z",
        "Tue, 99 Jan 2025 16:00 +9999",
    ),
    *(10**4299, -(10**4299), 10**18, 1e308, math.nan, math.inf, -math.inf, -0.0, {}, [], [[]], {"code": {}}),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(NASTY)
KEYS = st.text(max_size=3) | st.sampled_from(["code", "data", "error", "id", "message", "status", "url", "video_url"])
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=6
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-reset", "content-type"]),
    st.text(max_size=10) | st.sampled_from([value for value in NASTY if isinstance(value, str)]),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from places(below, (*at, key))


def replace_at(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    key, *rest = at
    copy = value.copy()
    copy[key] = replace_at(value[key], tuple(rest), new)
    return copy


@st.composite
def answers(draw: st.DrawFn, recorded: list[dict[str, Any]]) -> Answer:
    fixture = draw(st.sampled_from(recorded))
    place = draw(st.sampled_from([*places(fixture["body"])]))
    status = draw(st.sampled_from([fixture["http"]] * 3 + [200, 302, 404, 429, 500, 599]))
    return api_answer(status, draw(HEADERS), replace_at(fixture["body"], place, draw(ANYTHING)), RECEIVED_AT)


def assert_well_formed(job: Job) -> None:
    for name, hint in type_hints.items():
        value = getattr(job, name)
        if name != "extra":
            assert isinstance(value, tuple if get_origin(hint) is tuple else hint), (name, value)
        if isinstance(value, float):
            assert math.isfinite(value), name
        elif isinstance(value, datetime):
            assert value.utcoffset() == timedelta(), name
        elif isinstance(value, str):
            assert value.strip(), name
        if name.endswith("_url") and isinstance(value, str):
            assert value.lower().startswith(("https://", "http://")), name
    assert job.progress is None or 0 <= job.progress <= 100
    assert job.video_url is None or job.state is State.SUCCEEDED
    assert job.saved is None
    assert job.problem is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "endpoint"),
    [
        pytest.param(provider, endpoint, id=f"{provider.name}-{endpoint}")
        for provider in PROVIDERS.values()
        for endpoint in ENDPOINTS
        if getattr(provider, endpoint)
    ],
)
def test_any_answer_gives_a_well_formed_job_or_a_videostat_error(provider: Provider, endpoint: str) -> None:
    recorded = [fixture for fixture in fixtures(provider).values() if fixture.get("endpoint", "job") == endpoint]

    assert recorded, f"add to {shorten_path(folder(provider))}/ an answer of the {endpoint}"

    @settings(max_examples=250, deadline=None)
    @given(answers(recorded))
    def check(answer: Answer) -> None:
        try:
            parsed = parse(provider, endpoint, answer)
        except VideostatError:
            return
        for job in parsed.jobs if isinstance(parsed, Page) else (parsed,):
            assert_well_formed(job)
            assert job.ref.provider == provider.name
        if isinstance(parsed, Page):
            assert isinstance(parsed.total, int | None)
        else:
            assert parsed.ref.id == ID

    check()
