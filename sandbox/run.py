"""`make run`: the API, a dispatcher and the reporter, until Ctrl-C.

On embedded defaults, or on whatever the settings in the environment name. What is stored stays in DATA_DIR. Exits 0
when told to stop, 1 when a process ended by itself or did not get ready, 2 when a setting makes no sense.
"""

import sys
from time import sleep

from sandbox import deployment
from sandbox.processes import NotReady, Prefixed, Processes, free_port, interruptible, named_settings
from shared import settings
from shared.domain.errors import SettingsError
from shared.settings import Settings

_LOOK_EVERY = 0.2
_SIMULATOR_PORT = 8090  # where a dispatcher that is started by hand looks for it


def main() -> int:
    try:
        configuration = settings.load()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if free_port(configuration.api_port) != configuration.api_port != 0:
        print(f"API_PORT: something listens on port {configuration.api_port} already.", file=sys.stderr)
        return 2
    try:
        with interruptible(), Processes(Prefixed(sys.stdout)) as processes:
            _start(processes, configuration)
            return _watch(processes)
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _start(processes: Processes, configuration: Settings) -> None:
    env = named_settings() | {"API_PORT": str(configuration.api_port or free_port())}
    if configuration.database_url is None:
        _say(f"DATABASE_URL is not set: an embedded PostgreSQL under {configuration.data_dir}.")
        env["DATABASE_URL"] = deployment.start_postgres(processes, configuration.data_dir)
    if configuration.broker_url is None:
        _say("BROKER_URL is not set: jobs travel in a table of the database.")
    deployment.migrate(processes, env)
    if not (env.get("PROVIDER_URL", "").strip() or env.get("PROVIDERS_FILE", "").strip()):
        env["PROVIDER_URL"] = deployment.start_simulator(processes, port=free_port(_SIMULATOR_PORT)).url
        _say(f"PROVIDER_URL is not set: messages go to a simulator on {env['PROVIDER_URL']}, and so to nobody.")
    others = env | {"METRICS_PORT": "0"}  # METRICS_PORT is the dispatcher's
    url = deployment.start_api(processes, others)
    deployment.start_dispatcher(processes, env)
    deployment.start_reporter(processes, others)
    _say(
        f"Everything is up. The API: {url} ({url}/docs/), the console: {url}/console/. Ctrl-C stops it; the data stays."
    )


def _watch(processes: Processes) -> int:
    while not (deaths := processes.deaths()):
        sleep(_LOOK_EVERY)
    for report in deaths.values():
        print(report, file=sys.stderr)
    print("The rest is stopped.", file=sys.stderr)
    return 1


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
