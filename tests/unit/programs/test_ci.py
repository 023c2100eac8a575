"""What CI takes for a failure, with a `make` that says what it is told to say."""

import os
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[3] / ".ci/run"
PASSED = "===== 3736 passed in 900.00s (0:15:00) ====="
LONG_PASSED = "===== 61 passed in 1900.00s (0:31:40) ====="
LONG_FEW = "===== 1 failed, 60 passed in 1900.00s (0:31:40) ====="
FEW = "===== 2 failed, 3734 passed, 1 warning in 900.00s (0:15:00) ====="


@pytest.mark.parametrize(
    ("said", "failing", "done", "is_taken"),
    [
        (PASSED, "", "lint test", True),
        (PASSED, "lint", "lint test", False),
        (FEW, "test", "lint test test-again", True),
        (FEW, "test test-again", "lint test test-again", False),
        (FEW, "lint test", "lint test test-again", False),
        ("===== 12 failed, 3724 passed in 900.00s (0:15:00) =====", "test", "lint test", False),
        ("===== 1 failed, 3724 passed, 1 error in 900.00s (0:15:00) =====", "test", "lint test", False),
        (f"INTERNALERROR> KeyError\n{FEW}", "test", "lint test", False),
        (f"! xdist.dsession.Interrupted: <WorkerController gw1> received it !\n{FEW}", "test", "lint test", False),
        (f"!!!!! KeyboardInterrupt !!!!!\n{FEW}", "test", "lint test", False),
        ("!!!!! Interrupted !!!!!\n===== 2 errors in 28.77s =====", "test", "lint test", False),
        ("", "test", "lint test", False),
    ],
)
def test_what_fails_alone_too_is_a_failure(tmp_path: Path, said: str, failing: str, done: str, is_taken: bool) -> None:
    assert run(tmp_path, {"test": said}, failing) == (done, is_taken)


LONG = "test-long-together test-long-alone"


@pytest.mark.parametrize(
    ("said", "failing", "done", "is_taken"),
    [
        (LONG_PASSED, "", f"lint test {LONG}", True),
        (LONG_PASSED, "lint", f"lint test {LONG}", False),
        (LONG_PASSED, "test", f"lint test test-again {LONG}", True),
        (LONG_PASSED, "test test-again", f"lint test test-again {LONG}", False),
        (LONG_FEW, "test-long-alone", f"lint test {LONG} test-again", True),
        (LONG_FEW, "test-long-alone test-again", f"lint test {LONG} test-again", False),
        (LONG_FEW, "test-long-together", "lint test test-long-together test-again test-long-alone", True),
        ("", "test-long-together", f"lint test {LONG}", False),
        ("", "test-long-alone", f"lint test {LONG}", False),
    ],
)
def test_the_long_tests_are_taken_in_the_same_way(
    tmp_path: Path, said: str, failing: str, done: str, is_taken: bool
) -> None:
    suite = FEW if "test" in failing.split() else PASSED
    words = {"test": suite, "test-long-together": said, "test-long-alone": said}
    assert run(tmp_path, words, failing, WITH_LONG="yes") == (done, is_taken)


def run(directory: Path, said: dict[str, str], failing: str, **env: str) -> tuple[str, bool]:
    """What CI had done, in its order, and whether it takes the change. said: by the target that says it."""
    for target, words in said.items():
        complaint = f"make: *** [{target}] Error 1\n" if target in failing.split() else ""
        (directory / f"said-{target}").write_text(f"{words}\n{complaint}")
    make = directory / "make"
    make.write_text(
        f'#!/bin/bash\necho "$1" >> {directory}/done\n[ ! -e {directory}/said-$1 ] || cat {directory}/said-$1\n'
        f'for one in {failing}; do [ "$1" != "$one" ] || exit 2; done\n'
    )
    make.chmod(0o755)
    env = {**os.environ, "WITH_LONG": "no", **env, "PATH": f"{directory}:{os.environ['PATH']}"}
    ended = subprocess.run([RUN], env=env, capture_output=True, check=False, timeout=60)
    return " ".join((directory / "done").read_text().split()), ended.returncode == 0
