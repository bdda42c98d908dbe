"""Test the simulated services over real HTTP: each answers like its service, also where that is odd."""

from __future__ import annotations

import http.client
import json
import socket
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from fakes import FakeClock, api_answer

from videostat.client.answers import understand
from videostat.clock import Clock
from videostat.errors import Gone, KeyRefused, NotFound, OutOfCredit, RateLimited, UsageError, VideostatError
from videostat.models import Job, JobRef, State
from videostat.providers import PROVIDERS
from videostat.sandbox import ORDERS, WORDS, Sandbox
from videostat.sandbox.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    MakeSandbox = Callable[..., Sandbox]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Only some services are simulated. All kinds of job of one service have the same base URL.
SIMULATED = {name: provider for name, provider in PROVIDERS.items() if provider.key_group in DIALECTS}
PATHS = {name: f"/{provider.key_group}{provider.job.path}" for name, provider in SIMULATED.items()}
DOWNLOAD = "/reelbot/api/v1/video/download/{id}"
JOGG = [name for name, provider in SIMULATED.items() if provider.key_group == "jogg"]
SUBMIT = {name: (f"/{PROVIDERS[name].key_group}{path}", where) for name, path, where in ORDERS}


@dataclass
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def make(clock: FakeClock) -> Iterator[MakeSandbox]:
    with ExitStack() as stack:
        running: list[Sandbox] = []

        def start(**options: Any) -> Sandbox:
            running.append(stack.enter_context(Sandbox(clock=clock, **options)))
            return running[-1]

        yield start
        assert [list(sandbox.errors) for sandbox in running] == [[] for _ in running]


@pytest.fixture
def sandbox(make: MakeSandbox) -> Sandbox:
    return make()


def request(
    sandbox: Sandbox, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: Any = None
) -> Got:
    """Send one request. Raises IncompleteRead if the connection is cut."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
    finally:
        connection.close()


def make_auth_header(sandbox: Sandbox, service: str, key: str | None = None) -> dict[str, str]:
    auth = PROVIDERS[service].auth
    return {auth.header: auth.prefix + (key or sandbox.get_key(service))}


def ask(sandbox: Sandbox, path: str, *, method: str = "GET", body: Any = None) -> Got:
    """Send a request with the right key of the service whose name begins the path."""
    return request(sandbox, path, make_auth_header(sandbox, path.split("/")[1]), method=method, body=body)


def fetch(sandbox: Sandbox, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Got:
    parts = urlsplit(url)
    assert parts.netloc == f"127.0.0.1:{sandbox.port}"
    return request(sandbox, f"{parts.path}?{parts.query}", headers, method=method)


def submit(sandbox: Sandbox, name: str, words: str = "") -> str:
    path, where = SUBMIT[name]
    found = ask(sandbox, path, method="POST", body=json.dumps({"prompt": "a cat", "sandbox": words})).json
    for step in where:
        found = found[step]
    return str(found)


def read(sandbox: Sandbox, name: str, job_id: str, *, path: str | None = None) -> Any:
    """Ask for a job and read the answer as videostat does."""
    got = ask(sandbox, (path or PATHS[name]).format(id=job_id))
    provider = PROVIDERS[name]
    answer = api_answer(got.status, got.headers, got.json if got.body else None, sandbox.clock.now())
    return understand(answer, Job(ref=JobRef(name, job_id), needs_url=path is not None), provider)


def video_url(sandbox: Sandbox, name: str, job_id: str) -> Any:
    path = DOWNLOAD if name == "reelbot" else None
    return read(sandbox, name, job_id, path=path).video_url


# --- the jobs


@pytest.mark.parametrize("name", SIMULATED)
def test_submitted_job_is_queued_then_running_then_succeeded(sandbox: Sandbox, clock: FakeClock, name: str) -> None:
    job_id = submit(sandbox, name)
    states, percents = [], []
    for _ in range(40):
        job = read(sandbox, name, job_id)
        states.append(job.state)
        percents += [] if job.progress is None else [job.progress]
        clock.sleep(3)
    assert list(Counter(states)) == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    assert percents == sorted(percents)
    assert fetch(sandbox, video_url(sandbox, name, job_id)).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(("name", "usual"), [("jogg", 75), ("doubao", 60), ("reelbot", 45)])
def test_jobs_take_varying_times_near_the_usual_time_of_their_service(
    sandbox: Sandbox, clock: FakeClock, name: str, usual: float
) -> None:
    ids = [f"demo-{n}" for n in range(6)]
    ended: dict[str, float] = {}
    while len(ended) < len(ids):
        for job_id in ids:
            if read(sandbox, name, job_id).state is State.SUCCEEDED:
                ended.setdefault(job_id, clock.monotonic())
        clock.sleep(2)
    assert min(ended.values()) >= 0.8 * usual
    assert max(ended.values()) <= 1.2 * usual + 2
    assert len(set(ended.values())) > 2


def test_id_with_the_word_stuck_never_succeeds() -> None:
    clock = FakeClock(NOW)
    with Sandbox(clock=clock) as sandbox:
        for _ in range(3):
            assert read(sandbox, "jogg", "demo-stuck").state is not State.SUCCEEDED
            clock.sleep(86_400)


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("job_id", ["demo-done", "demo_done_7", "DEMO-done"])
def test_demo_id_exists_without_submission(sandbox: Sandbox, name: str, job_id: str) -> None:
    assert read(sandbox, name, job_id).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "job_id"),
    [
        ("jogg", "proj_abc123"),
        ("jogg-avatar", "avatar_1"),
        ("jogg-product", "product-1"),
        ("doubao", "task_1"),
        ("reelbot", "reel_1"),
    ],
)
def test_id_with_the_prefix_of_a_service_exists_only_there(sandbox: Sandbox, name: str, job_id: str) -> None:
    assert read(sandbox, name, job_id).state is State.QUEUED
    for other in SIMULATED.keys() - {name}:
        with pytest.raises(NotFound):
            read(sandbox, other, job_id)


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("job_id", ["nobody-submitted-this", "demo-unknown", "demonstration-1", "fail-demo"])
def test_other_ids_are_not_found(sandbox: Sandbox, name: str, job_id: str) -> None:
    with pytest.raises(NotFound):
        read(sandbox, name, job_id)


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("is_submitted", [True, False])
def test_words_in_an_id_or_a_body_choose_how_the_job_ends(sandbox: Sandbox, name: str, *, is_submitted: bool) -> None:
    def job_with(words: str) -> str:
        return submit(sandbox, name, words) if is_submitted else f"demo-{words.replace(' ', '-')}"

    failed = read(sandbox, name, job_with("done fail"))
    assert failed.state is State.FAILED
    assert failed.error
    assert not failed.video_url
    assert video_url(sandbox, name, job_with("done novideo")) is None
    with pytest.raises(NotFound):
        read(sandbox, name, job_with("unknown"))


def test_submitted_id_contains_only_words_of_the_table(sandbox: Sandbox) -> None:
    assert submit(sandbox, "jogg", "fail ../x webm").split("_")[:-1] == ["proj", "fail", "webm"]


def outline(sandbox: Sandbox, value: Any) -> Any:
    """Reduce an answer to the parts that are the same for any two jobs."""
    if isinstance(value, dict):
        # Old gateways use one of the two fields, new ones the other.
        texts = [value[name] for name in ("result_url", "fail_reason") if value.get(name)]
        value = {name: inner for name, inner in value.items() if name not in {"result_url", "fail_reason"}}
        value["text"] = texts[0] if texts else None
        return {name: inner if name == "status" else outline(sandbox, inner) for name, inner in value.items()}
    if not isinstance(value, str) or not value.startswith("http"):
        return type(value)
    path = urlsplit(value).path
    return path.endswith("/content"), path.rpartition(".")[2], fetch(sandbox, value).headers["content-type"]


# Words that change a webhook but no answer: see test_webhooks.py.
OF_DELIVERIES = {"twice", "late", "early", "lost"}


@pytest.mark.parametrize("word", [word for word in WORDS if word not in OF_DELIVERIES])
def test_each_word_of_the_table_changes_some_answer(sandbox: Sandbox, clock: FakeClock, word: str) -> None:
    def outlines(job_id: str) -> list[Any]:
        answers = [ask(sandbox, path.format(id=job_id)) for path in (*PATHS.values(), DOWNLOAD)]
        return [(each.status, outline(sandbox, each.json)) for each in answers]

    plain, other, with_word = "demo-1", "demo-3", f"demo-1-{word}"
    before = {job_id: outlines(job_id) for job_id in (plain, other, with_word)}
    clock.sleep(300)
    after = {job_id: outlines(job_id) for job_id in (plain, other, with_word)}
    assert (before[plain], after[plain]) == (before[other], after[other])
    assert (before[plain], after[plain]) != (before[with_word], after[with_word])


# --- keys, unknown paths, bad bodies


@pytest.mark.parametrize(
    ("service", "key", "status", "body"),
    [
        ("jogg", "", 401, {"code": 5003}),
        ("jogg", "wrong", 401, {"code": 10105}),
        ("jogg", "exhausted", 200, {"code": 18020}),
        ("doubao", "", 401, {"type": "new_api_error", "code": ""}),
        ("doubao", "wrong", 401, {"type": "new_api_error", "code": ""}),
        ("doubao", "exhausted", 401, {"type": "new_api_error", "code": ""}),
        ("reelbot", "", 401, {"success": False, "code": "UNAUTHORIZED"}),
        ("reelbot", "wrong", 401, {"success": False, "code": "UNAUTHORIZED"}),
        ("reelbot", "exhausted", 402, {"success": False, "code": "QUOTA_EXCEEDED"}),
    ],
)
def test_missing_wrong_or_exhausted_key_is_refused_as_by_the_service(
    sandbox: Sandbox, service: str, key: str, status: int, body: dict[str, Any]
) -> None:
    sent = DIALECTS[service].exhausted_key if key == "exhausted" else key
    got = request(sandbox, PATHS[service].format(id="demo-1"), make_auth_header(sandbox, service, sent) if sent else {})
    assert got.status == status
    found = got.json.get("error", got.json)
    assert {name: found[name] for name in body} == body
    if service == "doubao":
        assert "(request id: " in found["message"]
        assert ("TokenStatusExhausted" in found["message"]) == (key == "exhausted")


@pytest.mark.parametrize(
    ("name", "error"),
    [("jogg", OutOfCredit), ("doubao", KeyRefused), ("reelbot", OutOfCredit)],
)
def test_videostat_understands_an_exhausted_key(sandbox: Sandbox, name: str, error: type[VideostatError]) -> None:
    path = PATHS[name].format(id="demo-1")
    got = request(sandbox, path, make_auth_header(sandbox, name, DIALECTS[name].exhausted_key))
    answer = api_answer(got.status, got.headers, got.json, NOW)
    with pytest.raises(error):
        understand(answer, Job(ref=JobRef(name, "demo-1")), PROVIDERS[name])


@pytest.mark.parametrize("service", DIALECTS)
@pytest.mark.parametrize("path", ["", "/", "/v9/nothing", "/v2/project/a/b"])
def test_unknown_path_gets_the_404_answer_of_its_service(sandbox: Sandbox, service: str, path: str) -> None:
    got = ask(sandbox, f"/{service}{path}")
    assert got.status == 404
    code = {"jogg": 10104, "reelbot": "NOT_FOUND"}
    assert got.json.get("code") == code.get(service)
    assert ("error" in got.json) == (service == "doubao")


def test_path_outside_the_services_gets_404(sandbox: Sandbox) -> None:
    assert [request(sandbox, path).status for path in ("/", "/other/v2/project/demo-1", "/media/x")] == [404] * 3


@pytest.mark.parametrize(
    ("name", "code"),
    [("jogg", 40000), ("doubao", "invalid_request"), ("reelbot", "VALIDATION_ERROR")],
)
@pytest.mark.parametrize("body", ["", "{", "[]", "[" * 100_000, "9" * 5000, b"\xff"])
def test_submitted_body_must_be_a_json_object(sandbox: Sandbox, name: str, code: object, body: Any) -> None:
    got = ask(sandbox, SUBMIT[name][0], method="POST", body=body)
    assert got.status == 400
    assert got.json["code"] == code


# --- JoggAI


def test_jogg_times_are_iso_at_one_endpoint_and_unix_at_the_others(sandbox: Sandbox) -> None:
    data = {name: ask(sandbox, PATHS[name].format(id="demo-1")).json["data"] for name in JOGG}
    assert data["jogg"]["created_at"] == "2026-03-01T12:00:00Z"
    assert data["jogg-avatar"]["created_at"] == data["jogg-product"]["created_at"] == int(NOW.timestamp())


def test_jogg_endpoints_have_their_own_words_fields_and_ids(sandbox: Sandbox) -> None:
    data = {name: ask(sandbox, PATHS[name].format(id="demo-done")).json["data"] for name in JOGG}
    assert {name: each["status"] for name, each in data.items()} == {
        "jogg": "success",
        "jogg-avatar": "success",
        "jogg-product": "completed",
    }
    ids = {name: each.keys() & {"project_id", "video_id", "id"} for name, each in data.items()}
    assert ids == {"jogg": {"project_id"}, "jogg-avatar": {"video_id"}, "jogg-product": set()}
    assert data["jogg"].keys() >= {"video_url", "thumbnail_url", "duration", "resolution", "completed_at"}
    assert data["jogg-product"].keys() >= {"video_url", "cover_url", "title", "deducted_credit", "video_duration"}
    assert fetch(sandbox, data["jogg"]["thumbnail_url"]).body.startswith(b"\xff\xd8\xff")


def test_jogg_endpoints_describe_a_failure_in_three_ways(sandbox: Sandbox) -> None:
    got = {name: ask(sandbox, PATHS[name].format(id="demo-done-fail")).json for name in JOGG}
    assert {each["code"] for each in got.values()} == {0}
    assert got["jogg"]["data"]["error_code"] == "RENDER_FAILED"
    assert isinstance(got["jogg"]["data"]["error"], str)
    assert [got[name]["data"]["error"]["code"] for name in ("jogg-avatar", "jogg-product")] == [50000, "50000"]


def test_jogg_sends_some_errors_with_http_200(sandbox: Sandbox) -> None:
    assert [
        (got.status, got.json["code"])
        for got in (
            ask(sandbox, "/jogg/v2/project/nobody"),
            ask(sandbox, "/jogg/v2/avatar_video/nobody"),
            ask(sandbox, "/jogg/v2/project/demo-expired"),
        )
    ] == [(404, 5001), (200, 10104), (200, 5002)]
    with pytest.raises(Gone):
        read(sandbox, "jogg", "demo-expired")


@pytest.mark.parametrize(("word", "days"), [("", 30), ("-fail", 7)])
def test_jogg_forgets_a_job_after_its_retention(sandbox: Sandbox, clock: FakeClock, word: str, days: int) -> None:
    read(sandbox, "jogg", f"demo{word}")
    clock.sleep(days * 86_400 - 60)
    assert read(sandbox, "jogg", f"demo{word}").state.is_terminal
    clock.sleep(61)
    with pytest.raises(Gone):
        read(sandbox, "jogg", f"demo{word}")


SIZE = {"projects": "limit", "product_videos": "page_size"}


def fetch_pages(sandbox: Sandbox, path: str, rows: str, size: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 10):
        data = ask(sandbox, f"{path}?page={page}&{size}=20").json["data"]
        assert (data["page"], data[size]) == (page, 20)
        found += data[rows]
        if not data[rows]:
            assert data["total"] == len(found)
            return found
    raise AssertionError


@pytest.mark.parametrize(
    ("name", "path", "rows", "names"),
    [
        ("jogg", "/jogg/v2/projects", "projects", ("limit", "project_id")),
        ("jogg-product", "/jogg/v2/product_videos", "videos", ("page_size", "id")),
    ],
)
def test_list_pages_contain_each_job_once_and_the_newest_first(
    sandbox: Sandbox, name: str, path: str, rows: str, names: tuple[str, str]
) -> None:
    mine = submit(sandbox, name)
    ids = [row[names[1]] for row in fetch_pages(sandbox, path, rows, names[0])]
    assert ids[0] == mine
    assert len(ids) == len(set(ids)) > 20


def test_product_list_is_filtered_by_status_number(sandbox: Sandbox) -> None:
    submit(sandbox, "jogg-product")
    by_number = {
        number: {
            row["status"] for row in ask(sandbox, f"/jogg/v2/product_videos?status={number}").json["data"]["videos"]
        }
        for number in (3, 4, 5)
    }
    assert by_number == {3: {"pending"}, 4: {"completed"}, 5: {"failed"}}


@pytest.mark.parametrize("query", ["page=0", "page=x", "limit=0", "limit=101", "limit=-1", "page=" + "9" * 5000])
def test_invalid_page_number_or_size_is_refused(sandbox: Sandbox, query: str) -> None:
    for path in ("projects", "product_videos"):
        got = ask(sandbox, f"/jogg/v2/{path}?{query.replace('limit', SIZE[path])}")
        assert (got.status, got.json["code"]) == (400, 40000)


# --- the gateway


def ask_gateway(sandbox: Sandbox, job_id: str) -> Any:
    return ask(sandbox, PATHS["doubao"].format(id=job_id)).json["data"]


def test_gateway_sends_upper_case_words_percent_text_and_0_for_no_time(sandbox: Sandbox, clock: FakeClock) -> None:
    seen = []
    for _ in range(90):
        data = ask_gateway(sandbox, "demo-1")
        seen.append(data)
        clock.sleep(1)
    assert list(Counter(data["status"] for data in seen)) == [
        "NOT_START",
        "SUBMITTED",
        "QUEUED",
        "IN_PROGRESS",
        "SUCCESS",
    ]
    assert (seen[0]["progress"], seen[-1]["progress"]) == ("0%", "100%")
    assert (seen[0]["start_time"], seen[0]["finish_time"]) == (0, 0)
    assert seen[0]["submit_time"] < seen[-1]["start_time"] < seen[-1]["finish_time"]


def test_gateway_puts_the_url_into_fail_reason_or_into_result_url(sandbox: Sandbox) -> None:
    answers = [ask_gateway(sandbox, f"demo-done-{n}") for n in range(20)]
    places = Counter(
        (data["fail_reason"].startswith("http"), data.get("result_url", "").startswith("http")) for data in answers
    )
    assert places.keys() == {(True, False), (False, True)}


def test_new_gateways_repeat_the_error_in_result_url(sandbox: Sandbox) -> None:
    answers = [ask_gateway(sandbox, f"demo-done-fail-{n}") for n in range(20)]
    assert all(data["fail_reason"] and not data["fail_reason"].startswith("http") for data in answers)
    assert {data.get("result_url", data["fail_reason"]) == data["fail_reason"] for data in answers} == {True}
    assert {"result_url" in data for data in answers} == {True, False}


def test_the_gateway_answers_an_unknown_task_with_400(sandbox: Sandbox) -> None:
    got = ask(sandbox, PATHS["doubao"].format(id="nobody"))
    assert got.status == 400
    assert got.json == {"code": "task_not_exist", "message": "task_not_exist", "data": None}


def test_gemini_jobs_have_their_own_words_and_an_error_text_as_url(sandbox: Sandbox) -> None:
    done = ask_gateway(sandbox, "demo-gemini-done")
    assert done.keys() == {"error", "format", "metadata", "status", "task_id", "url"}
    assert (done["status"], done["format"]) == ("succeeded", "mp4")
    failed = ask_gateway(sandbox, "demo-gemini-done-fail")
    assert failed["status"] == "failed"
    assert not failed["url"].startswith("http")


def test_resellers_send_no_envelope_and_the_url_in_one_of_three_fields(sandbox: Sandbox) -> None:
    answers = [ask(sandbox, PATHS["doubao"].format(id=f"demo-reseller-done-{n}")).json for n in range(20)]
    assert {place for each in answers for place in each.keys() & {"url", "content", "task_result"}} == {
        "url",
        "content",
        "task_result",
    }
    assert all(each["error"] == {"code": "", "message": ""} and "data" not in each for each in answers)
    for number in range(20):
        job = read(sandbox, "doubao", f"demo-reseller-done-{number}")
        assert job.video_url
        assert job.created_at == NOW - timedelta(hours=1)


def test_failed_job_of_a_reseller_has_an_error_code(sandbox: Sandbox) -> None:
    job = read(sandbox, "doubao", "demo-reseller-done-fail")
    assert (job.state, job.error_code) == (State.FAILED, "content_policy")


def test_content_url_is_at_the_gateway_needs_the_key_and_has_no_ranges(sandbox: Sandbox) -> None:
    url = video_url(sandbox, "doubao", "demo-content-done")
    assert url == f"{sandbox.get_base_url('doubao')}/v1/videos/demo-content-done/content"
    assert fetch(sandbox, url).status == 401
    got = fetch(sandbox, url, {**make_auth_header(sandbox, "doubao"), "Range": "bytes=100-"})
    assert got.status == 200
    assert got.headers.keys().isdisjoint({"accept-ranges", "content-range", "etag"})
    assert len(got.body) == int(got.headers["content-length"]) > 20_000


@pytest.mark.parametrize(
    ("job_id", "status"), [("nobody", 404), ("demo-content", 400), ("demo-content-done-novideo", 502)]
)
def test_unavailable_content_gives_an_error_object(sandbox: Sandbox, job_id: str, status: int) -> None:
    got = ask(sandbox, f"/doubao/v1/videos/{job_id}/content")
    assert (got.status, list(got.json)) == (status, ["error"])


def test_a_content_transfer_is_cut_after_a_minute(make: MakeSandbox, clock: FakeClock) -> None:
    sandbox = make(bytes_per_second=100)
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(sandbox, "/doubao/v1/videos/demo-content-done/content")
    assert len(cut.value.partial) == 6000
    assert clock.monotonic() == pytest.approx(60)


# --- ReelBot


def test_reelbot_status_has_no_id_and_a_file_key_instead_of_a_url(sandbox: Sandbox, clock: FakeClock) -> None:
    queued = ask(sandbox, PATHS["reelbot"].format(id="demo-1")).json
    assert queued == {"status": "queued", "message": queued["message"], "createdAt": "2026-03-01T12:00:00.000Z"}
    clock.sleep(60)
    done = ask(sandbox, PATHS["reelbot"].format(id="demo-1")).json
    assert done.keys() == {"status", "message", "createdAt", "updatedAt", "outputKey"}
    assert not done["outputKey"].startswith("http")
    assert ask(sandbox, PATHS["reelbot"].format(id="demo-done-fail")).json["error"]


def test_reelbot_download_url_states_a_lifetime_of_one_hour(sandbox: Sandbox, clock: FakeClock) -> None:
    got = ask(sandbox, DOWNLOAD.format(id="demo-done")).json
    assert (got["success"], got["expiresAt"]) == (True, "2026-03-01T13:00:00.000Z")
    assert "X-Amz-Expires=3600" in got["downloadUrl"]
    assert fetch(sandbox, got["downloadUrl"]).status == 200


@pytest.mark.parametrize(
    ("path", "job_id", "status", "code"),
    [
        (DOWNLOAD, "demo-1", 400, "VIDEO_NOT_READY"),
        (DOWNLOAD, "demo-done-fail", 400, "VIDEO_NOT_READY"),
        (DOWNLOAD, "demo-done-expired", 404, "OUTPUT_NOT_FOUND"),
        (DOWNLOAD, "nobody", 404, "NOT_FOUND"),
        (PATHS["reelbot"], "demo.1", 400, "INVALID_PROJECT_ID"),
    ],
)
def test_reelbot_refuses_with_http_status_and_code(
    sandbox: Sandbox, path: str, job_id: str, status: int, code: str
) -> None:
    got = ask(sandbox, path.format(id=job_id))
    assert (got.status, got.json["success"], got.json["code"]) == (status, False, code)


def test_every_reelbot_answer_has_rate_limit_headers(sandbox: Sandbox) -> None:
    answers = [
        ask(sandbox, PATHS["reelbot"].format(id="demo-1")),
        ask(sandbox, PATHS["reelbot"].format(id="nobody")),
        ask(sandbox, DOWNLOAD.format(id="demo-1")),
        ask(sandbox, "/reelbot/nothing"),
        request(sandbox, PATHS["reelbot"].format(id="demo-1")),
    ]
    assert all(int(each.headers["x-ratelimit-remaining"]) >= 0 for each in answers)
    assert {each.headers["x-ratelimit-reset"] for each in answers} == {
        "2026-03-01T12:01:00.000Z",
        "2026-03-01T13:00:00.000Z",
    }


# --- limits and faults


def test_limits_are_off_by_default(sandbox: Sandbox) -> None:
    assert {ask(sandbox, DOWNLOAD.format(id="demo-done")).status for _ in range(35)} == {200}


@pytest.mark.parametrize(
    ("path", "requests", "seconds"),
    [(PATHS["reelbot"], 60, 60), (DOWNLOAD, 30, 3600)],
)
def test_reelbot_limits_each_endpoint_in_its_own_window(
    make: MakeSandbox, clock: FakeClock, path: str, requests: int, seconds: int
) -> None:
    sandbox = make(limits=True)
    left = [int(ask(sandbox, path.format(id="demo-done")).headers["x-ratelimit-remaining"]) for _ in range(requests)]
    assert left == list(reversed(range(requests)))
    got = ask(sandbox, path.format(id="demo-done"))
    assert (got.status, got.json["code"]) == (429, "RATE_LIMITED")
    assert datetime.fromisoformat(got.json["details"]["resetAt"]) == NOW + timedelta(seconds=seconds)
    assert got.headers["retry-after"] == str(seconds)
    other = DOWNLOAD if path == PATHS["reelbot"] else PATHS["reelbot"]
    assert ask(sandbox, other.format(id="demo-done")).status == 200
    clock.sleep(seconds)
    assert ask(sandbox, path.format(id="demo-done")).status == 200


def test_jogg_reports_its_limit_as_code_429_with_http_200(make: MakeSandbox) -> None:
    sandbox = make(limits=True)
    answers = [ask(sandbox, "/jogg/v2/project/demo-1") for _ in range(61)]
    assert [(each.status, each.json["code"]) for each in answers[-2:]] == [(200, 0), (200, 429)]
    with pytest.raises(RateLimited):
        read(sandbox, "jogg", "demo-1")


def test_gateway_sends_429_without_and_resellers_with_retry_after(make: MakeSandbox) -> None:
    sandbox = make(limits=True)
    assert {ask(sandbox, PATHS["doubao"].format(id="demo-1")).status for _ in range(180)} == {200}
    got = [ask(sandbox, PATHS["doubao"].format(id=job_id)) for job_id in ("demo-1", "demo-reseller-1")]
    assert [(each.status, each.body, each.headers.get("retry-after")) for each in got] == [
        (429, b"", None),
        (429, b"", "180"),
    ]


def test_requests_with_a_wrong_key_do_not_count_for_the_limit(make: MakeSandbox) -> None:
    sandbox = make(limits=True)
    path = DOWNLOAD.format(id="demo-done")
    assert {request(sandbox, path, make_auth_header(sandbox, "reelbot", "wrong")).status for _ in range(40)} == {401}
    assert ask(sandbox, path).status == 200


def collect_faults(sandbox: Sandbox) -> list[str]:
    found = []
    for _ in range(60):
        try:
            got = ask(sandbox, "/reelbot/api/v1/video/status/demo-1")
            found.append(f"{got.status} {got.headers['content-type'].partition(';')[0]}")
        except http.client.IncompleteRead:
            found.append("cut")
    return found


def test_fail_rate_sets_the_share_of_faults_and_the_seed_repeats_them(make: MakeSandbox) -> None:
    always, some, again = (collect_faults(make(fail_rate=rate, seed=4)) for rate in (1, 0.3, 0.3))
    assert set(always) == {"500 application/json", "502 text/html", "cut"}
    assert some == again
    assert 30 < some.count("200 application/json") < 55


# --- the videos


def read_boxes(body: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4])
        found.append(body[at + 4 : at + 8])
        at += size
    assert at == len(body)
    return found


def test_videos_are_three_small_complete_files_with_moov_first(sandbox: Sandbox) -> None:
    bodies = {fetch(sandbox, video_url(sandbox, "jogg", f"demo-done-{n}")).body for n in range(12)}
    assert len(bodies) == 3
    for body in bodies:
        assert read_boxes(body) == [b"ftyp", b"moov", b"free", b"mdat"]
        assert 20_000 < len(body) < 60_000


@pytest.mark.parametrize("name", SIMULATED)
def test_word_webm_gives_a_webm_video(sandbox: Sandbox, name: str) -> None:
    url = video_url(sandbox, name, "demo-done-webm")
    assert urlsplit(url).path.endswith(".webm")
    got = fetch(sandbox, url)
    assert got.headers["content-type"] == "video/webm"
    assert got.body.startswith(b"\x1a\x45\xdf\xa3")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-", 206, slice(0, None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=1000-1999", 206, slice(1000, 2000)),
        ("bytes=1000-99999999", 206, slice(1000, None)),
        ("bytes=-500", 206, slice(-500, None)),
        ("bytes=-99999999", 206, slice(0, None)),
        ("bytes=99999999-", 416, slice(0)),
        ("bytes=-0", 416, slice(0)),
        ("bytes=5-3", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=" + "9" * 5000 + "-", 200, slice(None)),
    ],
)
def test_range_request_gets_exactly_its_bytes(sandbox: Sandbox, wanted: str, status: int, part: slice) -> None:
    url = video_url(sandbox, "jogg", "demo-done")
    whole = fetch(sandbox, url).body
    got = fetch(sandbox, url, {"Range": wanted})
    assert (got.status, got.body) == (status, whole[part])
    start, stop, _ = part.indices(len(whole))
    said = {206: f"bytes {start}-{stop - 1}/{len(whole)}", 416: f"bytes */{len(whole)}"}
    assert got.headers.get("content-range") == said.get(status)


def test_if_range_with_another_etag_gets_the_whole_video(sandbox: Sandbox) -> None:
    url = video_url(sandbox, "jogg", "demo-done")
    etag = fetch(sandbox, url).headers["etag"]
    assert etag.startswith('"')
    statuses = [
        fetch(sandbox, url, {"Range": "bytes=9-", "If-Range": tag}).status
        for tag in (etag, f"W/{etag}", '"other"', "Sun, 01 Mar 2026 12:00:00 GMT")
    ]
    assert statuses == [206, 200, 200, 200]


def test_range_is_ignored_if_ranges_are_off(make: MakeSandbox) -> None:
    sandbox = make(ranges=False)
    got = fetch(sandbox, video_url(sandbox, "jogg", "demo-done"), {"Range": "bytes=9-"})
    assert (got.status, got.headers["accept-ranges"]) == (200, "none")


def test_head_sends_the_length_without_a_body(sandbox: Sandbox) -> None:
    parts = urlsplit(video_url(sandbox, "jogg", "demo-done"))
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    lengths = []
    # Use one connection: if HEAD sent a body, it would be read as the next answer.
    for method in ("HEAD", "GET"):
        connection.request(method, f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        lengths.append((answer.headers["content-length"], len(answer.read())))
    connection.close()
    [(said, none), (said_again, whole)] = lengths
    assert (said, none) == (said_again, 0)
    assert int(said) == whole


@pytest.mark.parametrize("change", ["expired", "tampered", "other file"])
@pytest.mark.parametrize(("name", "answer"), [("jogg", (200, b"<!DOC")), ("reelbot", (403, b"<?xml"))])
def test_expired_or_forged_url_gets_a_page_or_403_by_storage(
    sandbox: Sandbox, clock: FakeClock, name: str, answer: tuple[int, bytes], change: str
) -> None:
    url = video_url(sandbox, name, "demo-done")
    clock.sleep(3599)
    assert fetch(sandbox, url).headers["content-type"] == "video/mp4"
    match change:
        case "expired":
            clock.sleep(1)
        case "tampered":
            url = url[:-1] + ("0" if url[-1] != "0" else "1")
        case _:
            url = url.replace("demo-done", "demo-done-2")
    got = fetch(sandbox, url)
    assert (got.status, got.body[:5]) == answer
    assert fetch(sandbox, video_url(sandbox, name, "demo-done")).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("query", ["", "?expires=x&signature=%C3%A9", "?expires=99999999999&signature=0"])
def test_url_without_a_valid_signature_gets_no_video(sandbox: Sandbox, query: str) -> None:
    for storage in ("cdn", "s3"):
        got = request(sandbox, f"/media/{storage}/jogg/demo-done.mp4{query}")
        assert not got.headers["content-type"].startswith("video/")


def test_expired_gateway_job_has_an_expired_url(sandbox: Sandbox) -> None:
    assert b"<html" in fetch(sandbox, video_url(sandbox, "doubao", "demo-done-expired")).body


def test_url_lifetime_can_be_shortened(make: MakeSandbox, clock: FakeClock) -> None:
    sandbox = make(url_lifetime=10)
    url = video_url(sandbox, "reelbot", "demo-done")
    clock.sleep(10)
    assert fetch(sandbox, url).status == 403


def test_a_transfer_is_cut_once_for_each_video(make: MakeSandbox) -> None:
    sandbox = make(cut_after=1000)
    for job_id in ("demo-done", "demo-done-2"):
        url = video_url(sandbox, "jogg", job_id)
        with pytest.raises(http.client.IncompleteRead) as cut:
            fetch(sandbox, url)
        assert len(cut.value.partial) == 1000
        rest = fetch(sandbox, url, {"Range": "bytes=1000-"}).body
        assert cut.value.partial + rest == fetch(sandbox, url).body


def test_slow_transfer_takes_its_time_on_the_clock_of_the_sandbox(make: MakeSandbox, clock: FakeClock) -> None:
    sandbox = make(bytes_per_second=1000)
    body = fetch(sandbox, video_url(sandbox, "jogg", "demo-done")).body
    assert clock.monotonic() == pytest.approx(len(body) / 1000, abs=0.2)


# --- the server


def test_the_environment_points_the_three_accounts_at_the_sandbox(sandbox: Sandbox) -> None:
    environment = sandbox.environment
    assert environment.keys() == {
        f"VIDEOSTAT_{account}_{what}" for account in ("JOGG", "DOUBAO", "REELBOT") for what in ("BASE_URL", "API_KEY")
    } | {"VIDEOSTAT_JOGG_WEBHOOK_SECRET"}
    for service in DIALECTS:
        base_url = environment[f"VIDEOSTAT_{service.upper()}_BASE_URL"]
        path = PROVIDERS[service].job.path.format(id="demo-done")
        headers = make_auth_header(sandbox, service, environment[f"VIDEOSTAT_{service.upper()}_API_KEY"])
        assert request(sandbox, urlsplit(base_url).path + path, headers).status == 200


def test_requests_are_recorded(sandbox: Sandbox, clock: FakeClock) -> None:
    clock.sleep(5)
    ask(sandbox, "/jogg/v2/projects?page=2&limit=7")
    [seen] = sandbox.requests
    assert (seen.method, seen.path, seen.query) == ("GET", "/jogg/v2/projects", {"page": "2", "limit": "7"})
    assert seen.headers["x-api-key"] == sandbox.get_key("jogg")
    assert seen.at == NOW + timedelta(seconds=5)


def test_a_connection_is_kept_for_the_next_request(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/jogg/v2/project/demo-1", headers=make_auth_header(sandbox, "jogg"))
        connection.getresponse().read()
        ports.add(connection.sock.getsockname())
    connection.close()
    assert len(ports) == 1


def test_stopping_closes_open_connections() -> None:
    with Sandbox() as sandbox:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
        connection.request("GET", "/jogg/v2/project/demo-1")
        connection.getresponse().read()
        kept = connection.sock
    assert kept.recv(1) == b""
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", sandbox.port), timeout=5)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Length", "1048577"),
        ("Content-Length", "x"),
        ("Content-Length", "9" * 5000),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_body_too_long_or_of_unknown_length_is_refused(sandbox: Sandbox, header: str, value: str) -> None:
    got = request(sandbox, "/jogg/v2/avatar", {header: value}, method="POST")
    assert (got.status, got.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(
    "sent", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET //[::1 HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n"]
)
def test_malformed_request_prints_no_traceback(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert capfd.readouterr() == ("", "")


def test_errors_inside_the_sandbox_are_recorded_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(FakeClock):
        is_broken = False

        def now(self) -> datetime:
            if self.is_broken:
                raise ZeroDivisionError
            return super().now()

    clock = Broken()
    with Sandbox(clock=clock) as sandbox:
        clock.is_broken = True
        with pytest.raises(http.client.RemoteDisconnected):
            ask(sandbox, "/jogg/v2/projects")
        assert [type(error) for error in sandbox.errors] == [ZeroDivisionError]
    assert capfd.readouterr() == ("", "")


def test_port_in_use_gives_one_sentence(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match=f"port {sandbox.port} cannot be used"):
        Sandbox(port=sandbox.port).start()


def test_jobs_advance_on_the_given_clock() -> None:
    with Sandbox(clock=Clock(speed=10_000)) as sandbox:
        job_id = submit(sandbox, "reelbot")
        while (job := read(sandbox, "reelbot", job_id)).state is not State.SUCCEEDED:
            assert job.state in {State.QUEUED, State.RUNNING}
