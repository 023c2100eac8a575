"""How much of a provider's weight counts: half as much after a bad step, a tenth more after any other."""

import pytest

from dispatcher_service.leading.shares import FEW, LEAST, WHOLE, Did, next_shares

FINE = Did(100, 2, 10.0)
ERRS = Did(100, 40, 10.0)
SLOW = Did(100, 0, 300.0)


@pytest.mark.parametrize(
    ("a", "b", "share", "expected"),
    [
        (FINE, FINE, 100, 100),
        (ERRS, FINE, 100, 50),
        (SLOW, FINE, 100, 50),
        (ERRS, FINE, 13, LEAST),
        (ERRS, FINE, LEAST, LEAST),
        (FINE, FINE, 50, 60),
        (FINE, ERRS, 95, 100),
        (ERRS, ERRS, 100, 100),  # what all fail with is no reason to prefer one
        (ERRS, None, 100, 100),  # there is nobody better
        (SLOW, SLOW, 100, 100),
        (Did(100, 0, 50.0), Did(100, 0, 5.0), 100, 100),  # half a second is not slow
        (Did(FEW - 1, FEW - 1, 1.0), FINE, 50, 60),  # of few calls nobody can tell
        (None, FINE, 50, 60),
        (ERRS, Did(FEW - 1, 0, 1.0), 100, 100),
    ],
)
def test_a_step(a: Did | None, b: Did | None, share: int, expected: int) -> None:
    did = {name: one for name, one in (("a", a), ("b", b)) if one is not None}
    assert next_shares({"a": share, "b": WHOLE}, did)["a"] == expected


def test_it_is_back_after_nine_steps_from_the_bottom() -> None:
    shares = {"a": LEAST, "b": WHOLE}
    for _ in range(9):
        shares = dict(next_shares(shares, {"a": FINE, "b": FINE}))
    assert shares == {"a": WHOLE, "b": WHOLE}
