"""The control API; the package's docstring lists it."""

import asyncio
import json
import traceback
from typing import Protocol

from sandbox.simulator.faults import Faults, FaultsError
from sandbox.simulator.http1 import BadRequest, Connection, Request, json_response, ndjson_response
from sandbox.simulator.outage import Outage, OutageError
from sandbox.simulator.provider import Provider


class Outages(Protocol):
    async def begin(self, outage: Outage) -> None: ...

    async def end(self) -> None: ...


class PanelConnection(Connection):
    def __init__(self, provider: Provider, outages: Outages) -> None:
        super().__init__()
        self._provider = provider
        self._outages = outages
        self._task: asyncio.Task[None] | None = None

    def handle(self, request: Request) -> bytes | None:
        match request.method, request.path:
            case "GET", "/control/accepted":
                self.stream(ndjson_response(self._provider.records.accepted_lines()))
            case "GET", "/control/received":
                self.stream(ndjson_response(self._provider.records.received_lines()))
            case _:
                self._task = asyncio.create_task(self._respond(request))
        return None

    async def _respond(self, request: Request) -> None:
        try:
            answer = json_response(200, await self._act(request))
        except BadRequest as error:
            answer = self.refuse(error)
        except (FaultsError, OutageError) as error:
            answer = self.refuse(BadRequest(400, str(error)))
        except Exception:
            traceback.print_exc()
            answer = self.refuse(BadRequest(500, "a defect of the simulator; its output says more"))
        self.reply(answer)

    async def _act(self, request: Request) -> object:
        provider = self._provider
        match request.method, request.path:
            case "GET", "/control/health":
                return {"status": "ok"}
            case "GET", "/control/faults":
                return provider.faults.to_json()
            case "PUT", "/control/faults":
                provider.faults = Faults.from_json(_json(request))
                return provider.faults.to_json()
            case "GET", "/control/summary":
                pass
            case "PUT", "/control/token":
                provider.token = _token(_json(request))
            case "POST", "/control/outage":
                await self._outages.begin(Outage.from_json(_json(request)))
            case "DELETE", "/control/outage":
                await self._outages.end()
            case "DELETE", "/control/accepted":
                provider.forget()
            case _:
                raise BadRequest(404, "no such endpoint; `python -m sandbox.simulator --help` lists them")
        return provider.summary()


def _json(request: Request) -> object:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, "the body is not JSON") from error


def _token(values: object) -> str:
    match values:
        case {"token": str(token)} if token:
            return token
    raise BadRequest(400, "a token must be a JSON object with a token that is not empty")
