"""`make sbom`: what the image holds of others, for programs."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_lists_each_package_of_the_image_with_its_version_and_licence() -> None:
    done = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bill = json.loads((ROOT / "sbom.cdx.json").read_text("utf-8"))
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    listed = [(plain(one["name"]), one["version"]) for one in bill["components"]]
    assert sorted(listed) == sorted((plain(name), version) for name, version in pins)
    assert not [one["name"] for one in bill["components"] if not one.get("licenses")]
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "notification-service")


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
