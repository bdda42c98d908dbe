"""A simulated gateway with jobs and their videos, on loopback, in a process of its own.

The id decides what a job is: `running-17` never ends, `1048576-17` has a video of that many bytes.
"""

from __future__ import annotations

import json
import os
import ssl
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VIDEOSTAT = Path(sys.executable).with_name("videostat")
DELAY = Path(__file__).with_name("delay.py")
KEY = "sk-loopback"
BLOCK = bytes(1 << 20)


class Service(NamedTuple):
    """A running gateway: its address, its certificates, and environment variables for videostat."""

    base_url: str
    ca: Path
    env: dict[str, str]


@contextmanager
def run_service(*, tls: bool = False, keep_alive: bool = True, delay: float = 0) -> Iterator[Service]:
    """Run a gateway. Its `env` has a home of its own, away from the user's configuration and history.

    `delay`: seconds for the way there and back; a proxy adds them.
    """
    with TemporaryDirectory() as folder:
        home = Path(folder)
        config, ca = home / "config.toml", home / "ca.pem"
        config.write_text("[providers.doubao]\nmax_requests_per_second = 1000\n", encoding="utf-8")
        command = [sys.executable, __file__, ca if tls else "", "keep-alive" if keep_alive else "close"]
        with _run_server(*command) as near, _run_server(sys.executable, DELAY, near, str(delay / 2)) as far:
            base_url = far if delay else near
            env = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "VIDEOSTAT_CONFIG": str(config),
                "VIDEOSTAT_DOUBAO_BASE_URL": base_url,
                "DOUBAO_API_KEY": KEY,
            }
            yield Service(base_url, ca, env | ({"SSL_CERT_FILE": str(ca)} if tls else {}))


@contextmanager
def _run_server(*command: str | Path) -> Iterator[str]:
    """Run a server, and return the address that it prints first."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class _Connection(StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while request := self.rfile.readline():
            headers = list(iter(lambda: self.rfile.readline().strip(), b""))
            host = next(header[5:].strip().decode() for header in headers if header.lower().startswith(b"host:"))
            path = request.split()[1].decode()
            job = path.rpartition("/")[2].removesuffix(".mp4")
            if path.startswith("/media/"):
                self._send_video(int(job.partition("-")[0]))
            else:
                self._send_job(job, host)
            if not self.server.keep_alive:
                return

    def _send_job(self, job: str, host: str) -> None:
        running = job.startswith("running")
        task = {
            "task_id": job,
            "action": "generate",
            "status": "IN_PROGRESS" if running else "SUCCESS",
            "progress": "50%" if running else "100%",
            "fail_reason": "" if running else f"{self.server.scheme}://{host}/media/{job}.mp4",
            "submit_time": 1705334400,
            "start_time": 1705334410,
            "finish_time": 0 if running else 1705334520,
        }
        body = json.dumps({"code": "success", "message": "", "data": task}).encode()
        self._send("application/json", len(body), body)

    def _send_video(self, size: int) -> None:
        boxes = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4s", 8, b"moov")
        left = size - len(boxes)
        head = boxes + struct.pack(">I4sQ", 1, b"mdat", left)
        self._send("video/mp4", size, head, f'ETag: "{size}"\r\n')
        left = size - len(head)
        while left > 0:
            self.connection.sendall(BLOCK[:left] if left < len(BLOCK) else BLOCK)
            left -= len(BLOCK)

    def _send(self, kind: str, length: int, body: bytes, more: str = "") -> None:
        close = "" if self.server.keep_alive else "Connection: close\r\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{close}{more}\r\n"
        self.connection.sendall(head.encode() + body)


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, ca: str, *, keep_alive: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.keep_alive = keep_alive
        if ca:
            # Do the TLS handshake outside accept(), where each client would wait for the one before.
            self.socket = _make_context(Path(ca)).wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.scheme = "https" if ca else "http"
        self.base_url = f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Ignore a client that closes its connection."""


def _make_context(ca: Path) -> ssl.SSLContext:
    import certifi
    import trustme

    authority = trustme.CA()
    # Add all public authorities, because loading them is part of the cost of a connection.
    ca.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


if __name__ == "__main__":
    with _Server(sys.argv[1], keep_alive=sys.argv[2] == "keep-alive") as server:
        print(server.base_url, flush=True)
        server.serve_forever()
