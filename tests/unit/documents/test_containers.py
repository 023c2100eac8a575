"""What the Dockerfile and the compose file promise about the containers. hadolint (`make lint`) sees to the rest."""

import os
import re
import stat
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from api_service.web import key
from sandbox.identity_provider import known
from shared import settings
from shared.settings import Settings
from tests.support.demo_environment import demo_environment, expanded

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("notification-service")]
BECOMES_ITS_OWN_USER = {"postgres", "rabbitmq"}
ONE_SHOT = {"secrets", "migrate"}


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_product_runs_as_a_user_without_rights_or_shell() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    for stage in stages[2:]:  # behind the base and the builder
        users = re.findall(r"^USER (.*)$", stage, re.MULTILINE)
        assert users == [] or users[-1] == "10001:10001"
    assert stages[-1].startswith("product"), "what is built by default"
    assert "--shell /usr/sbin/nologin" in DOCKERFILE


def test_every_image_is_of_a_named_version() -> None:
    stages = {name for line in instructions("FROM") for name in re.findall(r" AS (\w+)", line)}
    images = [line.split()[0] for line in instructions("FROM")] + [service["image"] for service in SERVICES.values()]
    for image in set(images) - stages:
        assert re.search(r":(local|.*[0-9].*)$", image), image


def test_the_image_holds_no_secret_and_only_what_it_needs() -> None:
    for line in instructions("ENV") + instructions("ARG"):
        assert not re.search("PASSWORD|TOKEN|SECRET|KEY|_URL", line), line
    assert not re.search(r"^(ADD|COPY (\./)?\.? )", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored  # everything, but what is named
    assert "!.env" not in ignored
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name in BECOMES_ITS_OWN_USER:
        assert set(service["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    else:
        assert service.get("cap_add", []) == (["CHOWN"] if name == "secrets" else [])
        assert service.get("user") == {"secrets": "0:0", "mailpit": "10001:10001"}.get(name)
    assert service.get("read_only", False) == (name != "rabbitmq")
    assert not service.get("privileged")
    for published in service.get("ports", []):
        assert published.startswith("127.0.0.1:"), published
    for volume in service.get("volumes", []):
        assert not volume.startswith(("/", ".", "~")), "nothing of the host"


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_cannot_take_the_machine(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[0-9]+[mg]", service["mem_limit"])
    assert service["pids_limit"] <= 2048
    assert service.get("cpus", 1) <= 1, "more is refused where there are not so many"


GIVEN = {
    "postgres": {"postgres-password"},
    "rabbitmq": {"rabbitmq.conf", "erlang-cookie"},
    "migrate": {"DATABASE_URL", "api-key", "logins"},
    "api": {"DATABASE_URL", "BROKER_URL", "SUPPRESSION_KEYS", "api-key"},
    "dispatcher": {"DATABASE_URL", "BROKER_URL"},
    "reporter": {"DATABASE_URL"},
    "grafana": {"grafana-password"},
}
"""The secrets that each service can read; all others can read none."""


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"secrets"}))
def test_a_service_sees_its_own_secrets_and_no_others(name: str) -> None:
    volumes = [volume for volume in SERVICES[name].get("volumes", []) if volume.startswith("secrets")]
    assert volumes == ([f"secrets-{name}:/run/secrets:ro"] if name in GIVEN else [])


ENVIRONMENT = {
    "PROVIDER_TOKEN": {"dispatcher"},
    "SMTP_URL": {"reporter"},
    "DATABASE_URL": {"migrate", "api", "dispatcher", "reporter"},
    "DATABASE_DIRECT_URL": {"migrate", "api", "dispatcher", "reporter"},
    "BROKER_URL": {"api", "dispatcher"},
    "SUPPRESSION_KEYS": {"api"},
    "OIDC_CLIENT_SECRET": {"api"},
}
"""Who is told what may hold a secret of the user's own."""


def test_a_service_is_told_its_own_settings_and_no_others() -> None:
    told = {name: set(service.get("environment", {})) for name, service in SERVICES.items()}
    for variable, services in ENVIRONMENT.items():
        assert {name for name, variables in told.items() if variable in variables} == services, variable
    ours = set().union(*(told[name] for name in OURS))
    assert ours <= {field.name.upper() for field in fields(Settings)}
    assert not told["secrets"], "what it makes is nobody's setting"


REACHES = {
    "postgres": {"database"},
    "migrate": {"database", "front"},
    "api": {"database", "broker", "front", "metrics", "identity"},
    "dispatcher": {"database", "broker", "provider", "metrics"},
    "reporter": {"database", "mail", "metrics"},
    "rabbitmq": {"broker"},
    "simulator": {"provider"},
    "mailpit": {"mail"},
    "identity-provider": {"identity"},
    "prometheus": {"metrics", "observe"},
    "alertmanager": {"observe", "mail"},
    "grafana": {"observe"},
}


def test_a_service_is_on_the_networks_that_it_needs() -> None:
    networks = {name: set(service.get("networks", [])) for name, service in SERVICES.items()}
    assert networks == REACHES | {"secrets": set()}
    assert SERVICES["secrets"]["network_mode"] == "none"
    internal = {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")}
    assert internal == {"database", "broker", "metrics"}
    for name, service in SERVICES.items():
        assert not service.get("ports") or networks[name] - internal, "a port of an internal network is not published"


def test_what_can_be_set_is_the_same_everywhere() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)", compose)) == set(re.findall(r"^#(\w+)=", example, re.MULTILINE))
    table = "".join(line.split("|")[1] for line in readme.splitlines() if line.startswith("| `"))
    assert {field.name.upper() for field in fields(Settings)} <= set(re.findall(r"`(\w+)`", table))


def test_who_watches_is_given_the_files_that_are_tested() -> None:
    """Each as a file of its own, where the image's command looks for it, and what a file names stands beside it."""
    for name in ("prometheus", "alertmanager"):
        service = SERVICES[name]
        assert service["profiles"] == ["observe"]
        given = {config["target"]: ROOT / COMPOSE["configs"][config["source"]]["file"] for config in service["configs"]}
        assert all(file.is_file() for file in given.values())
        [option] = [option for option in service["command"] if option.startswith("--config.file=")]
        config = yaml.safe_load(given[option.partition("=")[2]].read_text("utf-8"))
        directory = Path(option.partition("=")[2]).parent
        assert {str(directory / rules) for rules in config.get("rule_files", [])} <= set(given)
        [store] = [
            option.partition("=")[2] for option in service["command"] if re.match(r"--storage(\.tsdb)?\.path=", option)
        ]
        assert service["volumes"] == [f"{name}:{store}"], "what is known outlives the container"


@pytest.mark.parametrize("shell", [{}, {"IDENTITY_PROVIDER_PORT": "18092", "API_PORT": "18000"}])
def test_people_sign_in_at_the_identity_provider_of_the_demo(shell: dict[str, str]) -> None:
    """deploy/demo.env, the compose file and the program mean the same; the browser and the API find it by one name."""
    service = SERVICES["identity-provider"]
    told = demo_environment(shell)
    assert service["profiles"] == [told["COMPOSE_PROFILES"]] == ["demo"]
    sign_in = settings.load(told)
    issuer = sign_in.oidc_issuer or ""
    address = urlsplit(issuer)
    assert service["networks"] == {"identity": {"aliases": [address.hostname]}}
    assert "identity" in SERVICES["api"]["networks"]
    assert [expanded(port, shell) for port in service["ports"]] == [f"127.0.0.1:{address.port}:{address.port}"]
    assert expanded(service["healthcheck"]["test"][-1], shell).startswith(f"{address.netloc}/.well-known/")
    api_port = expanded(SERVICES["api"]["ports"][0], shell).split(":")[1]
    consoles = [f"http://{host}:{api_port}/console/" for host in ("127.0.0.1", "localhost")]
    command = [expanded(word, shell) for word in service["command"]]
    assert command[3:] == ["--host=0.0.0.0", f"--issuer={issuer}", "--console", *consoles]
    assert shell or (known.ISSUER, [*known.CONSOLES]) == (issuer, consoles)
    assert sign_in.oidc_client_id == known.CLIENT_ID
    assert set(sign_in.oidc_scopes_by_group) == {person.group for person in known.PEOPLE}
    unset = {name for name in told if name.startswith("OIDC_")}
    assert {SERVICES["api"]["environment"][name] for name in unset} == {f"${{{name}:-}}" for name in unset}


def test_the_identity_provider_is_made_of_the_packages_that_the_tests_run() -> None:
    image, tests, product = (
        set(re.findall(r"^[a-z0-9-]+==[^ ]+", (ROOT / f"requirements{of}.txt").read_text("utf-8"), re.MULTILINE))
        for of in ("-identity-provider", "-dev", "")
    )
    assert image <= tests
    assert any(pin.startswith("canaille==") for pin in image - product)


def test_grafana_is_given_every_board_a_password_and_the_prometheus_beside_it() -> None:
    grafana = SERVICES["grafana"]
    assert grafana["profiles"] == ["observe"]
    given = {config["target"]: ROOT / COMPOSE["configs"][config["source"]]["file"] for config in grafana["configs"]}
    told = {
        Path(target).parent.name: yaml.safe_load(file.read_text("utf-8"))
        for target, file in given.items()
        if target.startswith("/etc/grafana/provisioning/")  # where the image looks
    }
    [provider], [source] = told["dashboards"]["providers"], told["datasources"]["datasources"]
    at = Path(provider["options"]["path"])
    boards = {Path(target).name: file for target, file in given.items() if Path(target).parent == at}
    assert boards == {file.name: file for file in (ROOT / "deploy/observe/grafana/dashboards").glob("*.json")}
    assert len(given) == len(told) + len(boards)
    host, port = source["url"].removeprefix("http://").split(":")
    assert SERVICES[host]["ports"][0].endswith(f":{port}")
    assert set(SERVICES[host]["networks"]) & set(grafana["networks"])
    [secrets, store] = grafana["volumes"]
    assert (secrets, store) == ("secrets-grafana:/run/secrets:ro", "grafana:/var/lib/grafana")
    environment = grafana["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana-password"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in given


def test_the_jobs_that_are_scraped_are_services_that_show_metrics() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/observe/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert {job["job_name"] for job in scraped} == {"api", "dispatcher", "reporter"}
    for job in scraped:
        [discovery] = job["dns_sd_configs"]
        assert (discovery["names"], discovery["port"]) == ([job["job_name"]], 9100)
        assert "metrics" in SERVICES[job["job_name"]]["networks"]


def test_what_stays_up_has_a_health_check() -> None:
    assert instructions("HEALTHCHECK")
    built_in = {*OURS, "mailpit"} - {"identity-provider"}  # their images have one
    for name in SERVICES.keys() - ONE_SHOT - built_in:
        assert SERVICES[name]["healthcheck"]["test"]
    for name in ONE_SHOT:
        assert SERVICES[name]["healthcheck"] == {"disable": True}


def test_no_setting_has_a_secret_by_default() -> None:
    told = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r"\$\{\w*(?:PASSWORD|TOKEN|KEY)\w*:-([^}]+)\}", told) == []
    assert "API_AUTH" not in told  # it is on


def test_the_secrets_are_made_once_and_handed_to_whom_they_concern(tmp_path: Path) -> None:
    first, again, other = (_make_secrets(tmp_path / name) for name in ("one", "one", "other"))
    assert first == again
    assert {name: set(files) for name, files in first.items()} == GIVEN
    token = key.parsed(first["api"]["api-key"].strip())
    assert token is not None
    assert len(token.secret) == 44
    password = first["postgres"]["postgres-password"].strip()
    assert first["migrate"]["DATABASE_URL"] == f"postgresql://notify:{password}@postgres:5432/notify\n"
    logins = dict(line.split() for line in first["migrate"]["logins"].splitlines() if line)
    assert len(set(logins.values())) == 3, "each has its own"
    for service, password in logins.items():
        assert first[service]["DATABASE_URL"] == f"postgresql://{service}:{password}@postgres:5432/notify\n"
    texts, others = ({text for files in given.values() for text in files.values()} for given in (first, other))
    assert not texts & others
    user = {"postgres": 999, "rabbitmq": 999, "grafana": 472}  # in their images
    for file in (tmp_path / "one" / "given").glob("*/*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o400, file
        assert os.geteuid() != 0 or file.stat().st_uid == user.get(file.parent.name, 10001)
    assert stat.S_IMODE((tmp_path / "one" / "store").stat().st_mode) == 0o700


def test_secrets_that_were_made_for_all_services_alike_are_kept(tmp_path: Path) -> None:
    """As version 1.0 left them in the volume."""
    store = tmp_path / "store"
    store.mkdir()
    old = {"postgres-password": "p0stgres", "rabbitmq-password": "r4bbit", "api-key": "nsk_0f3a9c21b7de_old\n"}
    derived = {"DATABASE_URL": "…", "BROKER_URL": "…", "rabbitmq.conf": "…"}
    for name, text in (old | derived).items():
        (store / name).write_text(text)
        (store / name).chmod(0o644)
    given = _make_secrets(tmp_path)
    assert given["postgres"]["postgres-password"] == "p0stgres\n"
    assert given["dispatcher"]["BROKER_URL"] == "amqp://notify:r4bbit@rabbitmq:5672/%2F\n"
    assert given["api"]["api-key"] == old["api-key"]
    new = {"api-password", "dispatcher-password", "reporter-password", "erlang-cookie", "suppression-key"}
    new |= {"grafana-password"}
    assert {file.name for file in store.iterdir()} == set(old) | new


def test_where_there_is_no_grafana_the_others_get_their_secrets(tmp_path: Path) -> None:
    """As on Kubernetes: `deploy/kubernetes/overlays/demo/secrets.sh`."""
    others = GIVEN.keys() - {"grafana"}
    for name in others:
        (tmp_path / "given" / name).mkdir(parents=True)
    (tmp_path / "store").mkdir()
    command = ["sh", str(ROOT / "deploy" / "secrets.sh"), str(tmp_path / "store"), str(tmp_path / "given")]
    subprocess.run(command, check=True, timeout=30)
    given = {path.parent.name for path in (tmp_path / "given").glob("*/*")}
    assert given == others


def _make_secrets(directory: Path) -> dict[str, dict[str, str]]:
    """By service and file, as its mounts are."""
    mounts = [volume.split(":")[1] for volume in SERVICES["secrets"]["volumes"]]
    assert SERVICES["secrets"]["command"] == ["deploy/secrets.sh", "/srv/store", "/srv/given"]
    for mount in mounts:
        (directory / Path(mount).relative_to("/srv")).mkdir(parents=True, exist_ok=True)
    command = ["sh", str(ROOT / "deploy" / "secrets.sh"), str(directory / "store"), str(directory / "given")]
    subprocess.run(command, check=True, timeout=30)
    return {
        service.name: {file.name: file.read_text() for file in service.iterdir()}
        for service in (directory / "given").iterdir()
    }


def test_statements_that_fail_are_not_logged_with_their_values() -> None:
    options = SERVICES["postgres"]["command"]
    assert {"-clog_error_verbosity=terse", "-clog_min_error_statement=panic"} <= set(options)


def test_what_is_laid_over_the_compose_file_has_no_more_rights() -> None:
    """compose.ha.yml: what it adds is held as the others are, and what it replaces is there."""
    text = (ROOT / "deploy/compose.ha.yml").read_text(encoding="utf-8")
    over: dict[str, Any] = yaml.safe_load(re.sub(r"!(reset|override) ", "", text))
    added = {name: service for name, service in over["services"].items() if name not in SERVICES}
    assert set(added) == {"postgres-standby", "synchronous", "rabbitmq-2", "rabbitmq-3", "nginx"}
    for name, service in added.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["image"].startswith(("postgres:${POSTGRES_VERSION:-17}", "rabbitmq:4-", "nginx:1."))
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), published
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (ROOT / source).is_file(), volume
    for config in over["configs"].values():
        assert "content" in config or (ROOT / config["file"]).is_file(), config
    assert over["services"]["api"]["ports"] == [], "it is reached through the proxy only"
    environment = set(added["nginx"]["environment"])
    template = (ROOT / "deploy/nginx.conf.template").read_text(encoding="utf-8")
    assert environment == set(re.findall(r"\$\{([A-Z_]+)\}", template))
