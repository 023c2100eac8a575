"""Pages whose commands are run as they stand: `docs/operations/`, and examples of the README.

A page begins with a block of variables, each with its value. Whoever runs it may give them other values, and nothing
else is changed.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_FENCE = re.compile(r"^```(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"^(?:export )?([A-Z_]+)=(\S*)(?: +#.*)?$")


class Page:
    """variables: by name, as the page has them. sections: the commands under each heading of the second level, in their
    order. elsewhere: lines that are not run, those of blocks `sh systemd`."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        declared, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
        self._lines = "".join(_blocks(declared, "sh")).splitlines()
        found = [_VARIABLE.match(line) for line in self._lines]
        assert all(found), f"{path.name} begins with its variables: {self._lines}"
        self.variables = {match[1]: match[2] for match in found if match}
        self.sections = {
            heading: script
            for heading, part in zip(parts[::2], parts[1::2], strict=True)
            if (script := "".join(_blocks(part, "sh")))
        }
        self.elsewhere = [line for block in _blocks(text, "sh systemd") for line in block.splitlines()]
        self.words = {match["words"] for match in _FENCE.finditer(text)}

    def script(self, section: str, values: Mapping[str, str]) -> str:
        """The commands of a section behind the variables. values: of those that differ from the page's."""
        assert values.keys() <= self.variables.keys(), "a page says what may differ"
        lines = [
            f"{line.partition('=')[0]}='{values.get(name, value)}'"
            for line, (name, value) in zip(self._lines, self.variables.items(), strict=True)
        ]
        return "\n".join([*lines, self.sections[section]])


def _blocks(text: str, words: str) -> list[str]:
    """What stands between fences with these words."""
    return [match["text"] for match in _FENCE.finditer(text) if match["words"] == words]


def run(script: str, cwd: Path, path: Sequence[Path] = (), **env: str) -> str:
    """What it said; the first command that fails is a failure. path: where programs are looked for first."""
    env = {**os.environ, **env, "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
