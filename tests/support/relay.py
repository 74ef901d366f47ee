"""The network between laptop and gateway, as it is on trains and behind home routers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from patience import seconds


@dataclass
class _Connection:
    """When it was used last, in seconds; and whether its bytes get lost."""

    used: float
    lost: bool = False


class Relay:
    """Passes on what comes to a port of 127.0.0.1 to another one, in a thread of its own."""

    def __init__(self, to: int, forgets_after: float | None = None, delay: float = 0) -> None:
        self.to = to
        #: How long a byte is on its way, in seconds.
        self.delay = delay
        #: After so many seconds without a byte it forgets a connection, as address translation does: the bytes that
        #: come then get lost, and nobody is told.
        self.forgets_after = forgets_after
        self.forgotten = 0
        self.connections: list[_Connection] = []
        self.loop = asyncio.new_event_loop()
        self.up = asyncio.Event()
        self.up.set()
        self.pumps: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def running(self) -> Iterator[Relay]:
        """Listen, on a free port."""
        server = self.loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = int(server.sockets[0].getsockname()[1])
        thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(server.close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            thread.join(seconds(5))

    def cut(self) -> None:
        """Pass nothing on any more; who connects gets no answer."""
        self.loop.call_soon_threadsafe(self.up.clear)

    def mend(self) -> None:
        """Pass on again."""
        self.loop.call_soon_threadsafe(self.up.set)

    def forget(self) -> None:
        """Lose what comes on the connections of now; new ones work."""
        for connection in self.connections:
            connection.lost = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.up.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        connection = _Connection(self.loop.time())
        self.connections.append(connection)
        for pump in (self._pump(reader, far_writer, connection), self._pump(far_reader, writer, connection)):
            task = self.loop.create_task(pump)
            self.pumps.add(task)
            task.add_done_callback(self.pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**16):
                await self.up.wait()
                now = self.loop.time()
                if self.forgets_after and now - connection.used > self.forgets_after and not connection.lost:
                    connection.lost = True
                    self.forgotten += 1
                connection.used = now
                if not connection.lost and self.delay:
                    self.loop.call_later(self.delay, writer.write, data)
                elif not connection.lost:
                    writer.write(data)
                    await writer.drain()
        if not connection.lost:
            self.loop.call_later(self.delay, writer.close)
