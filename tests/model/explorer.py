"""Spin: makes a verifier of the model in docs/model, compiles it, and lets it look at every state."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import debian

MODEL = Path(__file__).parents[2] / "docs/model/protocol.pml"
DEPTH = 100_000
LONGEST = 300.0
"""Seconds for one exploration."""

MUTANTS = {
    "NO_FENCING": "a result is written whoever has the message by now",
    "NO_LEASE_CHECK": "a call is begun whatever became of the lease",
    "SHORT_LEASE": "a call is begun while the lease lasts, though it may not outlast the call",
    "LOOK_ONCE": "lease and end are looked at when the call is begun, and not when it is written",
    "NO_STALE_CHECK": "a call is begun however long ago the message was claimed",
    "CLAIM_SENDING": "a claim takes what somebody else is sending",
    "CLOSE_SENDING": "the end of a mailing closes what is being sent",
    "RESCUE_FORGETS": "a rescued message does not say that the provider may have it",
    "CLAIM_EARLY": "a claim takes what waits, whether it is due or not",
    "TRUST_CURSOR": "the feeder does not look again at what its cursor has passed",
    "LAST_ANSWER_DECIDES": "an attempt that certainly failed takes back that an earlier one may have been taken",
    "REFUSAL_DECIDES": "a refused message is `failed`, whatever became of its earlier attempts",
}
"""What each leaves out. Of each the verifier must find fault."""


@dataclass(frozen=True)
class Exploration:
    """states: different ones. violation: what does not hold, as Spin names it; None: everything does."""

    states: int
    seconds: float
    violation: str | None


def equip() -> None:
    """Installs what is missing. Raises NotInstalled."""
    if not shutil.which("spin"):
        debian.install("spin")
    if not shutil.which("gcc"):
        debian.install("gcc")
        debian.install("libc6-dev")


def safety(*definitions: str, optimize: bool = False) -> Exploration:
    """No state in which an assertion fails, or in which nothing can happen any more although a message is open."""
    with tempfile.TemporaryDirectory(prefix="model-") as directory:
        build(Path(directory), definitions, ["-DSAFETY", "-DNOCLAIM"], optimize=optimize)
        return _explore(Path(directory), [])


def liveness(*definitions: str, optimize: bool = False) -> Exploration:
    """Every message ends in a final state, where no process waits for ever for its turn (weak fairness)."""
    with tempfile.TemporaryDirectory(prefix="model-") as directory:
        build(Path(directory), definitions, ["-DNFAIR=4"], optimize=optimize)
        return _explore(Path(directory), ["-a", "-f", "-N", "ends"])


def counterexample(mutant: str) -> str:
    """The shortest way to where a mutant fails, step by step, as Spin prints it."""
    with tempfile.TemporaryDirectory(prefix="model-") as directory:
        build(Path(directory), [mutant], ["-DSAFETY", "-DNOCLAIM", "-DREACH"], optimize=True)
        _run(Path(directory), "./pan", "-i", "-m2000")
        steps = _run(Path(directory), "spin", "-t", "-p", "-g", f"-D{mutant}", MODEL.name)
    return "\n".join(line for line in steps.splitlines() if "<valid end state>" not in line)


def build(directory: Path, definitions: Sequence[str], options: Sequence[str], *, optimize: bool) -> None:
    """The verifier, ./pan. Without optimization it takes a second and not ten."""
    shutil.copy(MODEL, directory)
    _run(directory, "spin", "-a", *(f"-D{definition}" for definition in definitions), MODEL.name)
    _run(directory, "gcc", "-O1" if optimize else "-O0", "-w", *options, "-o", "pan", "pan.c")


def _explore(directory: Path, options: Sequence[str]) -> Exploration:
    output = _run(directory, "./pan", f"-m{DEPTH}", *options)
    assert "max search depth too small" not in output, output
    states = re.search(r"(\d+) states, stored", output)
    seconds = re.search(r"elapsed time ([\d.e+-]+) seconds", output)
    errors = re.search(r"errors: (\d+)", output)
    assert states, output
    assert seconds, output
    assert errors, output
    violation = re.search(r"^pan:1: (.*) \(at depth \d+\)", output, re.MULTILINE)
    assert bool(violation) == (errors[1] != "0"), output
    return Exploration(int(states[1]), float(seconds[1]), violation[1] if violation else None)


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=LONGEST, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)}\n{output[-4000:]}"
    return output
