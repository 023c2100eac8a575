"""What the manifests for Kubernetes promise. `make lint` holds them against its schemas as well."""

import os
import re
import stat
from dataclasses import fields
from typing import Any

import pytest

from deploy.manifests import KUBERNETES, NOT_OF_KUBERNETES, OVERLAYS, Manifest, build, faults, pod_of, versions
from shared.settings import Settings
from tests.unit.documents.test_containers import ENVIRONMENT, GIVEN, ROOT, SERVICES

BUILT = {name: build(KUBERNETES / "overlays" / name) for name in OVERLAYS}
ALL = [
    pytest.param(one, id=f"{name}-{one['kind']}-{one['metadata']['name']}") for name in OVERLAYS for one in BUILT[name]
]
PODS = [param for param in ALL if pod_of(param.values[0])]  # type: ignore[arg-type]
OURS = ("migrate", "api", "dispatcher", "reporter")
SETTINGS = {field.name.upper() for field in fields(Settings)}


def named(kind: str, name: str, overlay: str = "production") -> Manifest:
    (found,) = (one for one in BUILT[overlay] if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pod(name: str, overlay: str = "production") -> Manifest:
    found = pod_of(named("Job" if name == "migrate" else "Deployment", name, overlay))
    assert found
    return found


def containers(manifest: Manifest) -> list[Manifest]:
    found = pod_of(manifest) or {}
    return [*found.get("initContainers", ()), *found["containers"]]


@pytest.mark.parametrize("manifest", ALL)
def test_it_is_what_every_version_of_kubernetes_takes(manifest: Manifest) -> None:
    if manifest["kind"] in NOT_OF_KUBERNETES:
        assert manifest["apiVersion"] == "keda.sh/v1alpha1"
        return
    assert {version: found for version in versions() if (found := list(faults(manifest, version)))} == {}


def test_a_fault_is_found() -> None:
    api = named("Deployment", "api")
    assert list(faults({**api, "spec": {**api["spec"], "replica": 3}}, versions()[-1]))
    assert len(versions()) >= 8


@pytest.mark.parametrize("manifest", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(manifest: Manifest) -> None:
    """The level `restricted` of Kubernetes, and more."""
    spec = pod_of(manifest) or {}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False, "the Service `api` would set API_PORT"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in spec["volumes"]:
        assert volume.keys() - {"name"} <= {"emptyDir", "secret"}, "nothing of the node"
        assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]
    for container in containers(manifest):
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["readOnlyRootFilesystem"] == (container["name"] != "rabbitmq")
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        assert re.search(r":(local|.*[0-9].*)$", container["image"]), "an image of a named version"


def test_no_process_has_rights_in_the_cluster() -> None:
    for manifests in BUILT.values():
        assert not {one["kind"] for one in manifests} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
        (account,) = (one for one in manifests if one["kind"] == "ServiceAccount")
        assert account["automountServiceAccountToken"] is False


RECOVER = [
    {"name": name, "valueFrom": {"configMapKeyRef": {"name": "notification-recover", "key": name, "optional": True}}}
    for name in ("RECOVER_SINCE", "RECOVER_UNTIL")
]
"""They are no settings: the job is told them, for once."""


def told(name: str) -> tuple[set[str], set[str]]:
    """The settings of a process that come from the ConfigMap, and the files of its Secret."""
    (container,) = pod(name)["containers"]
    env = [one for one in container["env"] if one not in RECOVER]
    for one in env:
        reference = {"name": "notification", "key": one["name"], "optional": True}
        assert one == {"name": one["name"], "valueFrom": {"configMapKeyRef": reference}}
    (secret,) = (one["secret"] for one in pod(name)["volumes"] if one["name"] == "secrets")
    assert secret["secretName"] == f"notification-{name}"
    assert secret["optional"] is True
    assert secret["defaultMode"] == 0o440
    return {one["name"] for one in env}, {item["path"] for item in secret["items"]}


_RECOVERS = 'shared.recover --since "$RECOVER_SINCE" ${RECOVER_UNTIL:+--until "$RECOVER_UNTIL"}'


def test_a_restore_needs_no_other_manifest() -> None:
    (container,) = pod("migrate")["containers"]
    assert container["env"] == RECOVER
    script = container["command"][-1]
    assert script.index("shared.migrate") < script.index(_RECOVERS)


IS_SECRET = ENVIRONMENT.keys()
"""It comes as a file of the process's own Secret."""


@pytest.mark.parametrize("name", OURS)
def test_what_compose_can_set_can_be_set_here(name: str) -> None:
    """Of each process the same, and no more."""
    in_compose = set(SERVICES[name].get("environment", {}))
    plain, secret = told(name)
    assert plain == in_compose - IS_SECRET
    assert secret & SETTINGS == in_compose & IS_SECRET
    assert secret - SETTINGS == GIVEN[name] - SETTINGS, "the files that are no settings"


OTHERWISE = {
    "API_PORT": "the Service has it",
    "PROVIDERS_DIR": "the Secret notification-providers",
    "SIMULATOR_PORT": "kubectl port-forward",
    "MAILPIT_PORT": "kubectl port-forward",
    "IDENTITY_PROVIDER_PORT": "the demo there signs in with keys",
    "PROMETHEUS_PORT": "whoever runs the cluster has one",
    "ALERTMANAGER_PORT": "whoever runs the cluster has one",
    "GRAFANA_PORT": "whoever runs the cluster has one",
}


def test_every_line_of_the_example_is_a_setting_of_a_process_here() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    somewhere = set().union(*(plain | secret for plain, secret in map(told, OURS)))
    assert set(re.findall(r"^#(\w+)=", example, re.MULTILINE)) - OTHERWISE.keys() <= somewhere


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_has_a_value(overlay: str) -> None:
    assert not [one for one in BUILT[overlay] if one["kind"] == "Secret"]
    settings = named("ConfigMap", "notification", overlay)["data"]
    assert not settings.keys() & IS_SECRET
    plain = set().union(*(told(name)[0] for name in OURS))
    assert settings.keys() <= plain, "what nobody reads"
    for manifest in BUILT[overlay]:
        for container in containers(manifest) if pod_of(manifest) else ():
            for one in container.get("env", ()):
                is_secret = re.search("PASSWORD|TOKEN|SECRET|KEY", one["name"]) and one["name"] != "CONSOLE_KEYS"
                assert not is_secret or one["name"].endswith("_FILE")


def test_the_demo_gets_its_secrets_from_the_script_of_the_compose_file() -> None:
    script = KUBERNETES / "overlays" / "demo" / "secrets.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    text = script.read_text(encoding="utf-8")
    assert "../../../secrets.sh" in text
    assert os.access(script.parent / "../../../secrets.sh", os.R_OK)
    for name in GIVEN.keys() - {"grafana"}:  # whoever runs the cluster has one
        assert re.search(rf"for service in [\w ]*\b{name}\b", text), name


PROBES: dict[str, tuple[str, str]] = {
    "api": ("/health/live", "/health/ready"),
    "dispatcher": ("/metrics", "/metrics"),
    "reporter": ("/metrics", "/metrics"),
}


@pytest.mark.parametrize("name", PROBES)
def test_probes_ask_what_they_are_for(name: str) -> None:
    """A restart brings back no database: so what tells alive from dead asks nobody else."""
    (container,) = pod(name)["containers"]
    live, ready = PROBES[name]
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == live
    assert container["readinessProbe"]["httpGet"]["path"] == ready
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports[container["readinessProbe"]["httpGet"]["port"]] == (8000 if name == "api" else 9100)
    assert container["readinessProbe"]["timeoutSeconds"] > 2, "the API gives the database so long"


@pytest.mark.parametrize("name", PROBES)
def test_it_has_as_long_to_stop_as_in_compose(name: str) -> None:
    grace = SERVICES[name].get("stop_grace_period", "30s")
    assert pod(name)["terminationGracePeriodSeconds"] == int(grace.removesuffix("s"))


@pytest.mark.parametrize("name", PROBES)
def test_nothing_of_a_version_starts_before_its_schema_is_there(name: str) -> None:
    """And the version before goes on until then."""
    (first,) = pod(name)["initContainers"]
    assert first["command"] == ["python", "-m", "shared.migrate", "--wait"]
    assert named("Deployment", name)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "python -m shared.migrate\n" in pod("migrate")["containers"][0]["command"][-1]
    assert named("Job", "migrate")["spec"]["ttlSecondsAfterFinished"], "or the next version could have none"


@pytest.mark.parametrize("name", ["api", "dispatcher"])
def test_one_is_always_at_work(name: str) -> None:
    budget = named("PodDisruptionBudget", name)["spec"]
    labels = named("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    assert budget["minAvailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    keys = {one["topologyKey"] for one in pod(name)["topologySpreadConstraints"]}
    assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


REACHES = {
    "migrate": {5432, 6432},
    "api": {5432, 6432, 5671, 5672, 443},
    "dispatcher": {5432, 6432, 5671, 5672, 443},
    "reporter": {5432, 6432, 25, 465, 587},
}


def _selects(policy: Manifest, name: str) -> bool:
    selector: dict[str, Any] = policy["spec"]["podSelector"]
    labels = {"app.kubernetes.io/part-of": "notification", "app.kubernetes.io/component": name}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("name", OURS)
def test_it_reaches_what_it_needs_and_nothing_else(name: str) -> None:
    policies = [one for one in BUILT["production"] if one["kind"] == "NetworkPolicy" and _selects(one, name)]
    assert {kind for one in policies for kind in one["spec"]["policyTypes"]} == {"Ingress", "Egress"}
    rules = [rule for one in policies for rule in one["spec"].get("egress", ())]
    assert {port["port"] for rule in rules for port in rule["ports"]} == REACHES[name] | {53}
    let_in = [rule for one in policies for rule in one["spec"].get("ingress", ())]
    assert all(rule["from"] for rule in let_in)
    ports = {port["port"] for rule in let_in for port in rule["ports"]}
    assert ports == {"migrate": set(), "api": {8000, 9100}}.get(name, {9100})


def test_dispatchers_are_scaled_by_what_the_leader_reckons() -> None:
    """tests/integration/leading/test_scaling.py asks the question of a real database."""
    scaled = named("ScaledObject", "dispatcher")["spec"]
    assert scaled["minReplicaCount"] == 2
    assert scaled["maxReplicaCount"] > 2
    assert scaled["scaleTargetRef"] == {"name": "dispatcher"}
    (trigger,) = scaled["triggers"]
    assert (trigger["type"], trigger["metadata"]["targetQueryValue"]) == ("postgresql", "1")
    reference = named("TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]["secretTargetRef"]
    assert [one["parameter"] for one in reference] == ["connection"]
    assert "replicas" not in named("Deployment", "dispatcher")["spec"], "an apply would set it back"
