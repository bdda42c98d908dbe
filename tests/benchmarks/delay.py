"""Pass bytes on to a server and back, with a delay: python delay.py ADDRESS SECONDS."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from urllib.parse import urlsplit

PIECE = 1 << 18


async def _copy_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Copy bytes, each piece `delay` seconds late. Many pieces can be on their way, so the speed stays the same."""
    loop, on_the_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](256)

    async def read() -> None:
        piece = b"-"
        while piece:
            piece = await reader.read(PIECE)
            await on_the_way.put((loop.time() + delay, piece))

    reading = asyncio.create_task(read())
    with suppress(OSError):
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    reading.cancel()
    writer.close()


async def _serve(address: str, delay: float) -> None:
    """Print the address of the proxy, then serve until the process ends."""
    target = urlsplit(address)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(_copy_late(reader, back, delay), _copy_late(there, writer, delay))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(f"{target.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
