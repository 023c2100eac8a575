"""The manifests for Kubernetes, built and held against the schemas of its versions: `python -m deploy.manifests`.

A part of `make lint`. Prints what is wrong, and exits 1 where anything is. It builds what Kustomize would, of the few
things that deploy/kubernetes uses, so that whoever works on it need not have kubectl.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils as schemas
import yaml
from referencing import Registry, Resource

KUBERNETES = Path(__file__).parent / "kubernetes"
OVERLAYS = ("demo", "production")

OLDEST = (1, 30)
"""Of Kubernetes, that the manifests are for."""

NOT_OF_KUBERNETES = {"ScaledObject", "TriggerAuthentication"}
"""Kinds of KEDA's, of which there is no schema here."""

Manifest = dict[str, Any]


def build(directory: Path) -> list[Manifest]:
    """What `kubectl kustomize` gives for a directory with a kustomization. Raises ValueError where that uses something
    else."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    if unknown := kustomization.keys() - _USED:
        raise ValueError(f"{directory.name}: {', '.join(sorted(unknown))} cannot be built here.")
    found: list[Manifest] = []
    for name in kustomization["resources"]:
        place = directory / name
        found += build(place) if place.is_dir() else _read(place)
    for one in kustomization.get("configMapGenerator", ()):
        found.append(_config_map(directory, one))
    for patch in kustomization.get("patches", ()):
        for change in _read(directory / patch["path"]):
            _patch(found, change)
    for image in kustomization.get("images", ()):
        for container in _containers(found):
            if container["image"] == image["name"]:
                container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    if namespace := kustomization.get("namespace"):
        for manifest in found:
            if manifest["kind"] != "Namespace":
                manifest["metadata"]["namespace"] = namespace
    return found


_USED = {
    *("apiVersion", "kind", "namespace", "resources", "images", "configMapGenerator", "generatorOptions", "patches"),
}


def _read(file: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]


def _config_map(directory: Path, generator: Mapping[str, Any]) -> Manifest:
    lines = [line for name in generator["envs"] for line in (directory / name).read_text(encoding="utf-8").splitlines()]
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": dict(pairs)}


def _patch(manifests: Sequence[Manifest], change: Manifest) -> None:
    for one in manifests:
        if (one["kind"], one["metadata"]["name"]) == (change["kind"], change["metadata"]["name"]):
            _merge(one, change)
            return
    raise ValueError(f"There is no {change['kind']} {change['metadata']['name']} to be patched.")


def _merge(into: Manifest, change: Mapping[str, Any]) -> None:
    """Objects member by member; of lists those whose members have names, by these."""
    for name, value in change.items():
        known = into.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            _merge(known, value)
        elif isinstance(value, list) and isinstance(known, list) and all("name" in each for each in value):
            for each in value:
                mine = next((one for one in known if one["name"] == each["name"]), None)
                _merge(mine, each) if mine is not None else known.append(deepcopy(each))
        else:
            into[name] = deepcopy(value)


def _containers(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    for one in manifests:
        if pod := pod_of(one):
            yield from (*pod.get("initContainers", ()), *pod["containers"])


def pod_of(manifest: Manifest) -> Manifest | None:
    """The spec of its pods, if it has any."""
    pod: Manifest | None = manifest.get("spec", {}).get("template", {}).get("spec")
    return pod


def versions() -> list[str]:
    """Of Kubernetes, that the manifests are held against."""
    known = sorted({tuple(map(int, one.split("."))) for one in schemas.all_versions()})
    return [".".join(map(str, one)) for one in known if one >= OLDEST]


def faults(manifest: Manifest, version: str) -> Iterator[str]:
    """What is wrong with it by the schema of a version, in which no member is unknown."""
    group, _, of_group = manifest["apiVersion"].rpartition("/")
    named = "-".join(filter(None, (manifest["kind"].lower(), group.partition(".")[0], of_group)))
    directory = f"kubernetes-json-schema/v{version}-local-strict"
    schema = schemas.schema_contents(f"{directory}/{named}.json", version)
    for error in jsonschema.Draft202012Validator(schema, registry=_definitions(version)).iter_errors(manifest):
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


@cache
def _definitions(version: str) -> Registry[Any]:
    directory = f"kubernetes-json-schema/v{version}-local-strict"
    found = Resource.from_contents(schemas.schema_contents(f"{directory}/_definitions.json", version))
    return found @ Registry()


def main() -> int:
    wrong = 0
    for overlay in OVERLAYS:
        for manifest in build(KUBERNETES / "overlays" / overlay):
            if manifest["kind"] in NOT_OF_KUBERNETES:
                continue
            for version in versions():
                for fault in faults(manifest, version):
                    wrong += 1
                    print(f"{overlay}: {manifest['kind']} {manifest['metadata']['name']}, {version}: {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
