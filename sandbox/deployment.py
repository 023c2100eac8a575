"""The parts of a deployment as child processes: each function starts one and returns when it is ready.

`env` holds the settings of the child. All of them raise NotReady, which says what the child printed last.
"""

from collections.abc import Mapping
from pathlib import Path

from sandbox.processes import NotReady, Processes, free_port
from sandbox.simulator.control import Simulator

_MIGRATION_TIMEOUT = 600.0
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach what listens everywhere

Env = Mapping[str, str]


def start_postgres(processes: Processes, data_dir: Path) -> str:
    """The embedded server; the URL of its database."""
    processes.start("postgres", "sandbox.postgres", {"DATA_DIR": str(data_dir)})
    return processes.wait_line("postgres", r"^postgresql://\S+$", timeout=60)[0]


def migrate(processes: Processes, env: Env) -> None:
    """Brings the schema up to date."""
    processes.start("migrate", "shared.migrate", env)
    if processes.wait("migrate", _MIGRATION_TIMEOUT) != 0:
        raise NotReady("\n".join(["The schema could not be brought up to date.", *processes.output("migrate")[-20:]]))


def start_simulator(processes: Processes, *options: str, port: int = 0, name: str = "simulator") -> Simulator:
    """options: of its command line."""
    processes.start(name, "sandbox.simulator", {}, "--port", str(port), "--control-port", "0", *options)
    return Simulator.announced(processes.wait_line(name, r"^provider simulator: .*seed \d+$")[0])


def start_api(processes: Processes, env: Env, name: str = "api") -> str:
    """Its URL. `env` names the port. Unless it says otherwise, an API that only this machine reaches is open to it."""
    host = env.get("API_HOST") or "127.0.0.1"
    if _is_loopback(host):
        env = {"API_AUTH": "off", "API_RATE": "0", **{name: value for name, value in env.items() if value}}
    host = _HERE.get(host, host)
    url = f"http://[{host}]:{env['API_PORT']}" if ":" in host else f"http://{host}:{env['API_PORT']}"
    processes.start(name, "api_service", env)
    processes.wait_http(name, f"{url}/health/ready")
    return url


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def start_dispatcher(
    processes: Processes, env: Env, name: str = "dispatcher", module: str = "dispatcher_service"
) -> None:
    _start_with_metrics(processes, name, module, env)


def start_reporter(processes: Processes, env: Env, name: str = "reporter") -> None:
    _start_with_metrics(processes, name, "dispatcher_service.reporter", env)


def _start_with_metrics(processes: Processes, name: str, module: str, env: Env) -> None:
    """Ready is what shows its metrics: unlike a line of its log, that is there at every LOG_LEVEL."""
    port = int(env.get("METRICS_PORT") or 0) or free_port()
    processes.start(name, module, {**env, "METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(port)})
    processes.wait_http(name, f"http://127.0.0.1:{port}/metrics")
