"""The two ports: the provider's, which an outage can close, and that of the control API."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.simulator.outage import Mode, Outage
from sandbox.simulator.panel import PanelConnection
from sandbox.simulator.provider import Provider, ProviderConnection

_BACKLOG = 4096


class Server:
    """`port`, `control_port`: 0 for any free one; the attributes tell which. Raises OSError when a port is taken."""

    def __init__(self, provider: Provider, host: str, port: int, control_port: int) -> None:
        self.provider = provider
        self._host = host
        self._socket = self._bound(port)
        self._control_socket = self._bound(control_port)
        self.port: int = self._socket.getsockname()[1]
        self.control_port: int = self._control_socket.getsockname()[1]
        self._listener: asyncio.Server | None = None
        self._switching = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming: set[asyncio.TimerHandle] = set()  # outages that are to begin or to end

    async def start(self) -> None:
        await self._listen()
        await asyncio.get_running_loop().create_server(
            lambda: PanelConnection(self.provider, self), sock=self._control_socket, backlog=_BACKLOG
        )

    async def begin(self, outage: Outage) -> None:
        """An outage, now or after its delay; it takes the place of one that is on."""
        if outage.after:
            self._later(outage.after, self._begin, outage)
        else:
            await self._begin(outage)

    async def end(self) -> None:
        """Ends the outage that is on, and forgets those that were to come."""
        for timer in self._coming:
            timer.cancel()
        self._coming.clear()
        await self._switch(None)

    async def _begin(self, outage: Outage) -> None:
        await self._switch(outage)
        if outage.seconds is not None:
            self._later(outage.seconds, self._finish, outage)

    async def _finish(self, outage: Outage) -> None:
        if self.provider.outage is outage:
            await self._switch(None)

    async def _switch(self, outage: Outage | None) -> None:
        async with self._switching:
            self.provider.outage = outage
            if outage and outage.mode is Mode.REFUSE:
                self._refuse()
            elif not self._listener:
                await self._listen()

    def _refuse(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
            # Bound without listening: connections are refused, and nobody else gets the port.
            self._socket = self._bound(self.port)
        for connection in list(self.provider.connections):
            connection.leave()

    async def _listen(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: ProviderConnection(self.provider), sock=self._socket, backlog=_BACKLOG
        )

    def _later(self, seconds: float, action: Callable[[Outage], Coroutine[Any, Any, None]], outage: Outage) -> None:
        def act() -> None:
            self._coming.discard(timer)
            task = asyncio.create_task(action(outage))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._coming.add(timer)

    def _bound(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only for this
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self._host, port))
        return sock
