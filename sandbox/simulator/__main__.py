"""`python -m sandbox.simulator`: until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import resource
import signal
import sys

import sandbox.simulator
from sandbox.simulator.faults import Fault, Faults, FaultsError
from sandbox.simulator.outage import Outage, OutageError
from sandbox.simulator.provider import Provider
from sandbox.simulator.receipts import Habits, Receipts
from sandbox.simulator.server import Server


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    try:
        faults = Faults(
            rates=dict(options.fault),
            latency_ms=options.latency,
            jitter_ms=options.jitter,
            retry_after=options.retry_after,
            max_faults_per_id=options.max_faults_per_id,
            refuse_ids_modulo=options.refuse_ids_modulo,
            poison=options.poison,
            status=options.status,
            takes_per_second=options.takes_per_second,
        )
    except FaultsError as error:
        parser.error(str(error))
    _raise_descriptor_limit()
    try:
        asyncio.run(_serve(options, Provider(options.seed, options.token, faults, _receipts(options))))
    except OSError as error:
        sys.exit(f"provider simulator: {error}")


def _receipts(options: argparse.Namespace) -> Receipts | None:
    if options.receipts is None:
        return None
    habits = Habits(options.receipts, options.receipts_after, options.receipts_twice, options.receipts_interim)
    return Receipts(habits, options.seed)


async def _serve(options: argparse.Namespace, provider: Provider) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    control_port = options.control_port
    if control_port is None:
        control_port = options.port and options.port + 1
    server = Server(provider, options.host, options.port, control_port)
    await server.start()
    for outage in options.outage:
        await server.begin(outage)
    host = f"[{options.host}]" if ":" in options.host else options.host
    ready = f"http://{host}:{server.port} (control http://{host}:{server.control_port}), seed {provider.seed}"
    print(f"provider simulator: {ready}", flush=True)
    await stop.wait()
    summary = provider.summary()
    counts = ", ".join(f"{summary[name]} {name}" for name in ("requests", "accepted", "doubled", "overlapping"))
    print(f"provider simulator: {counts}", flush=True)


def _parser() -> argparse.ArgumentParser:
    faults = "\n".join(f"  {fault:<14}{fault.meaning}" for fault in Fault)
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.simulator",
        description=sandbox.simulator.__doc__,
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=_port, default=8090, help="0: any free one (default %(default)s)")
    add("--control-port", type=_port, help="default: the port after --port")
    add("--token", help="answer 401 to requests without it")
    add("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="default: a new one each time")
    add("--fault", type=_rate, action="append", default=[], metavar="NAME=RATE", help="one of those below; repeatable")
    add("--latency", type=float, default=0, metavar="MS", help="before every answer")
    add("--jitter", type=float, default=0, metavar="MS", help="up to so much more")
    add("--retry-after", type=int, default=1, metavar="SECONDS", help="sent with 429")
    add("--max-faults-per-id", type=int, metavar="K", help="after so many faults an id is left in peace")
    add("--refuse-ids-modulo", type=int, metavar="N", help="ids divisible by N get 400 every time")
    add("--poison", metavar="TEXT", help="texts with this in them get 500 every time")
    add(
        "--status", type=int, metavar="STATUS", help="the answer to everything, such as 402 or 404; nothing is accepted"
    )
    add("--takes-per-second", type=int, metavar="N", help="requests beyond so many get 429 as well")
    add("--receipts", metavar="URL", help="where to say later what became of messages: JSON, up to 100 in a list, each"
        " with id, status (queued, delivered, failed) and reason; ids divisible by 10 are not delivered")  # fmt: skip
    add("--receipts-after", type=float, default=0, metavar="SECONDS", help="and up to twice as late, out of order")
    add("--receipts-twice", type=float, default=0, metavar="RATE", help="the share that is sent a second time")
    add("--receipts-interim", type=float, default=0, metavar="RATE", help="the share that is announced before")
    add("--outage", type=_outage, action="append", default=[], metavar="MODE:AFTER:SECONDS",
        help="refuse, 503 or hang, from this second on for so many seconds; repeatable")  # fmt: skip
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _rate(text: str) -> tuple[Fault, float]:
    name, _, rate = text.partition("=")
    try:
        return Fault(name), float(rate)
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be of the form NAME=RATE, such as hang=0.01") from error


def _outage(text: str) -> Outage:
    try:
        return Outage.parse(text)
    except OutageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _raise_descriptor_limit() -> None:
    """To what the system allows: every connection takes a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_240 if hard == resource.RLIM_INFINITY else hard  # macOS takes no more
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


if __name__ == "__main__":
    main()
