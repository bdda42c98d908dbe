"""--parallel limits the transfers at once; a file that is written to the disk does not count."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from faults import mp4
from loopback import Server, reply

from videostat.saving.partfile import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox

VIDEO = mp4()


class Gateway(Server):
    """A server with a video for each job; it counts the transfers at once."""

    def __init__(self) -> None:
        super().__init__(self.say)
        self.under_way = self.most = self.begun = 0
        self.lock = threading.Lock()

    def say(self, request: Request) -> bytes | Iterator[bytes]:
        name = request.target.rpartition("/")[2]
        if name.endswith(".mp4"):
            return self.send()
        return reply({"code": "success", "data": {"status": "SUCCESS", "fail_reason": f"{self.url}/{name}.mp4"}})

    def send(self) -> Iterator[bytes]:
        with self.lock:
            self.under_way += 1
            self.begun += 1
            self.most = max(self.most, self.under_way)
        time.sleep(0.05)
        with self.lock:
            self.under_way -= 1
        yield reply(VIDEO)


@pytest.fixture
def gateway(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Replace the gateway of the sandbox."""
    with Gateway() as server:
        monkeypatch.setenv("VIDEOSTAT_DOUBAO_BASE_URL", server.url)
        monkeypatch.setenv("VIDEOSTAT_DOUBAO_API_KEY", "canary-key")
        yield server


def test_parallel_limits_the_transfers_at_once(gateway: Gateway, videostat: Videostat) -> None:
    ids = [str(number) for number in range(8)]
    assert videostat("download", "doubao", *ids, "--parallel", "2").code == 0
    assert gateway.most == 2


def test_next_transfer_begins_while_a_file_is_published(
    gateway: Gateway, videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, begun = Part.publish, list[int]()

    def publish_late(part: Part, *args: Any) -> Any:
        end = time.monotonic() + 5
        while gateway.begun < 2 and time.monotonic() < end:
            time.sleep(0.01)
        begun.append(gateway.begun)
        return publish(part, *args)

    monkeypatch.setattr(Part, "publish", publish_late)
    assert videostat("download", "doubao", "a", "b", "--parallel", "1").code == 0
    assert begun == [2, 2]
    assert gateway.most == 1
