"""What CI takes for a failure, with a `make` that says what it is told to say."""

import os
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[3] / ".ci/run"
PASSED = "===== 3736 passed in 900.00s (0:15:00) ====="
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
    (tmp_path / "said").write_text(f"{said}\nmake: *** [test] Error 1\n" if failing else f"{said}\n")
    make = tmp_path / "make"
    make.write_text(
        f'#!/bin/bash\necho "$1" >> {tmp_path}/done\n[ "$1" != test ] || cat {tmp_path}/said\n'
        f'for one in {failing}; do [ "$1" != "$one" ] || exit 2; done\n'
    )
    make.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "WITH_LONG": "no"}
    ended = subprocess.run([RUN], env=env, capture_output=True, check=False, timeout=60)
    assert (tmp_path / "done").read_text().split() == done.split()
    assert (ended.returncode == 0) == is_taken
