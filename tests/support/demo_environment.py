"""The variables that deploy/demo.env gives to the compose file."""

import re
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parents[2] / "deploy" / "demo.env"


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """`${NAME}` and `${NAME:-default}`, as compose has them."""
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda found: environment.get(found[1]) or found[2] or "", text)


def demo_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """environment: the shell's; it counts more than the file."""
    shell = environment or {}
    lines = re.findall(r"^(\w+)=(.*)$", FILE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: expanded(value, shell) for name, value in lines} | dict(shell)
