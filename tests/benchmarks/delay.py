"""A line of some length: hands bytes on, each piece so many seconds late."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from urllib.parse import urlsplit

PIECE = 1 << 18


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Many pieces may be under way at once: a delay is no limit of speed."""
    loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](256)

    async def read() -> None:
        piece = b"-"
        while piece:
            piece = await reader.read(PIECE)
            await under_way.put((loop.time() + delay, piece))

    reading = asyncio.create_task(read())
    with suppress(OSError):
        while True:
            due, piece = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    reading.cancel()
    writer.close()


async def _serve(address: str, delay: float) -> None:
    target = urlsplit(address)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(_hand_on(reader, back, delay), _hand_on(there, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(f"{target.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
