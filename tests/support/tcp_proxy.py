"""A TCP proxy that does harm: between the product and one of those that it depends on.

with TcpProxy() as proxy:
    proxy.target = ("127.0.0.1", 5672)  # or the path of a Unix socket
    with proxy.silent():
        ...
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

from sqlalchemy import make_url

from sandbox.processes import free_port

Target = tuple[str, int] | str

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_READ = 65536


class _Mode(Enum):
    WHOLE = auto()  # what comes is passed on
    SILENT = auto()  # what comes is acknowledged and dropped, connections are accepted and lead nowhere
    TRICKLE = auto()  # every byte is a packet of its own
    LATE = auto()  # every packet comes so many seconds later


class TcpProxy:
    """Listens on `port` of 127.0.0.1, for as long as the context lasts; a thread of its own does the work."""

    target: Target

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = 0  # how often clients said something
        self._mode = _Mode.WHOLE
        self._delay = 0.0
        self._pipes: set[_Pipe] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._refuse())
        self._do(_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        return len(self._pipes)

    # ---------------------------------------------------------------- the harm

    def cut(self) -> None:
        """Resets all connections. New ones are welcome."""
        self._do(self._cut())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """All connections are reset, and nobody listens."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Half-open: both sides believe in their connections, and neither hears from the other. In the end they learn
        that nothing was there."""
        with self._in(_Mode.SILENT):
            yield
            self.cut()

    @contextmanager
    def trickling(self) -> Iterator[None]:
        """Every byte comes by itself."""
        with self._in(_Mode.TRICKLE):
            yield

    @contextmanager
    def late(self, seconds: float) -> Iterator[None]:
        """What is sent arrives so much later, either way."""
        self._delay = seconds
        with self._in(_Mode.LATE):
            yield

    @contextmanager
    def _in(self, mode: _Mode) -> Iterator[None]:
        self._mode = mode
        try:
            yield
        finally:
            self._mode = _Mode.WHOLE

    # ---------------------------------------------------------------- in the thread

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1024)

    async def _refuse(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for pipe in list(self._pipes):
            pipe.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is _Mode.SILENT:
            other = None
        else:
            try:
                other = await self._connect()
            except OSError:
                _reset(writer)
                return
        pipe = _Pipe(self, (reader, writer), other)
        self._pipes.add(pipe)
        try:
            await pipe.run()
        finally:
            self._pipes.discard(pipe)

    async def _connect(self) -> "_End":
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """In the way of the moment. No data: the sender has nothing more to say."""
        match self._mode:
            case _Mode.SILENT:
                return
            case _Mode.TRICKLE:
                for number in range(len(data)):
                    writer.write(data[number : number + 1])
                    await asyncio.sleep(0)
            case _:
                writer.write(data)
        await writer.drain()
        if not data:
            writer.write_eof()

    @property
    def delay(self) -> float:
        return self._delay if self._mode is _Mode.LATE else 0.0


def by_way_of(proxy: TcpProxy, url: str) -> str:
    """The same thing behind the proxy."""
    there = make_url(url).difference_update_query(["host"])
    return there.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def socket_of(database_url: str) -> Target:
    """Where the embedded server listens."""
    return f"{make_url(database_url).query['host']}/.s.PGSQL.5432"


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pipe:
    """A client's connection and the one to the target; None: nobody is there."""

    def __init__(self, proxy: TcpProxy, client: _End, target: _End | None) -> None:
        self._proxy = proxy
        self._ends = [client] if target is None else [client, target]
        ways = [(client, target)] if target is None else [(client, target), (target, client)]
        self._ways = [asyncio.create_task(self._carry(source[0], sink and sink[1])) for source, sink in ways]

    async def run(self) -> None:
        """Until both sides have ended, or one of them was reset."""
        try:
            await asyncio.gather(*self._ways)
            for _, writer in self._ends:
                writer.close()
        except (OSError, asyncio.CancelledError):
            self.reset()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
        """What is late waits in a queue, so that it does not hold up what comes after it."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.create_task(self._deliver(queue, writer))
        try:
            while data := await reader.read(_READ):
                self._proxy.asked += reader is self._ends[0][0]
                queue.put_nowait((self._now() + self._proxy.delay, data))
            queue.put_nowait((self._now() + self._proxy.delay, b""))
            await delivery
        finally:
            delivery.cancel()

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter | None) -> None:
        data = b"?"
        while data:
            due_at, data = await queue.get()
            await asyncio.sleep(max(0.0, due_at - self._now()))
            if writer:
                await self._proxy.pass_on(data, writer)

    def reset(self) -> None:
        for way in self._ways:
            way.cancel()
        for _, writer in self._ends:
            _reset(writer)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, where it is TCP; twice is harmless."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def _the_rest() -> None:
    """Waits until what is under way has come to its end."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=10)
