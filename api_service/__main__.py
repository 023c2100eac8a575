"""The API service: `python -m api_service`. Stops on SIGTERM, after the requests under way.

`python -m api_service keys …` sees to the keys of the API, `python -m api_service suppressions rotate` to those of the
digests of suppressed phones.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from api_service.access import command
from api_service.access.keyring import Keyring
from api_service.directory import suppression_keys
from api_service.server.metrics_directory import metrics_directory
from api_service.web.loopback import is_loopback
from shared import logs, migrate, settings
from shared.broker.base import Broker
from shared.broker.memory import recall
from shared.database.access import Database, ensure_database
from shared.database.ids import GivenIds, why_behind
from shared.domain.digests import Digests
from shared.domain.errors import SettingsError
from shared.providers.loading import load_providers
from shared.settings import Settings


def main() -> None:
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["keys"]:
            sys.exit(_see_to_keys(arguments[1:]))
        if arguments[:1] == ["suppressions"]:
            sys.exit(_see_to_suppressions(arguments[1:]))
        if arguments:
            sys.exit(
                f"python -m api_service takes no arguments but `keys …` and `suppressions …`, and not {arguments[0]!r}."
            )
        configuration = settings.load()
        _check_door(configuration)
        logs.setup("api", configuration.log_level, configuration.log_format)
        with metrics_directory() as directory:
            settings.use_metrics_directory(directory)
            _serve(configuration, directory)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _see_to_keys(arguments: Sequence[str]) -> int:
    options = command.options(arguments)
    configuration = settings.load()
    # What the command prints is its answer, a key for example, and goes to who asked for it alone.
    logs.setup("keys", configuration.log_level, configuration.log_format, sys.stderr)
    return command.run(options, configuration)


def _see_to_suppressions(arguments: Sequence[str]) -> int:
    from api_service.directory import suppression_command  # noqa: PLC0415 - declares metrics, too

    suppression_command.check_options(arguments)
    configuration = settings.load()
    logs.setup("suppressions", configuration.log_level, configuration.log_format, sys.stderr)
    return suppression_command.run(configuration)


def _serve(configuration: Settings, directory: Path) -> None:
    # What declares metrics must not be imported before their directory is known.
    from api_service import app  # noqa: PLC0415
    from api_service.mailings.announcer import BackgroundAnnouncer  # noqa: PLC0415
    from api_service.server.limits import THREADS  # noqa: PLC0415
    from api_service.server.serving import serve  # noqa: PLC0415
    from api_service.tracking.receivers import Receivers  # noqa: PLC0415
    from shared.broker.choice import choose  # noqa: PLC0415

    providers = load_providers(configuration)
    Receivers(providers)  # a secret that is not there is told now, and not by each worker
    database = ensure_database(configuration)
    if configuration.database_url is None:
        migrate.upgrade(database.direct_url)
    if configuration.api_auth:
        _check_keys(database, is_needed=configuration.oidc_issuer is None)
    digests = suppression_keys.digests_of(configuration)
    _check_suppressions(database, digests)
    broker = choose(configuration.broker_url, database.direct_url, configuration.retry_ladder)
    _check_ids(database, broker)
    announcer = BackgroundAnnouncer(broker)
    serve(
        configuration,
        directory,
        lambda log: app.deployed(
            configuration,
            database,
            broker,
            announcer,
            digests=digests,
            providers=providers,
            threads=THREADS,
            log=log,
        ),
        lambda: announcer.close(timeout=2.0),
    )


def _check_door(configuration: Settings) -> None:
    """Raises SettingsError where everybody who reaches this machine could do everything."""
    host = configuration.api_host
    if not configuration.api_auth and not is_loopback(host):
        raise SettingsError(f"API_AUTH may be off only where API_HOST is a loopback address (it is {host!r}).")


def _check_ids(database: Database, broker: Broker) -> None:
    """Raises SettingsError where the database would give ids again. What cannot be asked now is left to those who give
    them, the dispatchers."""
    ids = GivenIds()
    ids.learn(recall(broker))
    engine = database.engine("api-ids", pool_size=1)
    try:
        if why := why_behind(engine, ids):
            raise SettingsError(why)
    finally:
        engine.dispose()


def _check_suppressions(database: Database, digests: Digests) -> None:
    """Raises SettingsError where nobody could tell who is suppressed."""
    engine = database.engine("api-suppressions", pool_size=1)
    try:
        suppression_keys.check(engine, digests)
    finally:
        engine.dispose()


def _check_keys(database: Database, *, is_needed: bool) -> None:
    """Raises SettingsError where nobody could do anything. A database that is not there yet is waited for by the
    requests: without it they are refused anyway.

    is_needed: nobody signs in without a key."""
    engine = database.engine("api-keys", pool_size=1)
    try:
        if not Keyring(engine).is_empty() or not is_needed:
            return
    except ProgrammingError as error:
        raise SettingsError("The database has no table of API keys: `python -m shared.migrate` makes it.") from error
    except SQLAlchemyError:
        return
    finally:
        engine.dispose()
    raise SettingsError(
        "API_AUTH is on and there is no API key that can be used: make one with"
        " `python -m api_service keys create --name NAME --scope admin`."
    )


if __name__ == "__main__":
    main()
