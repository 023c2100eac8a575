"""What `python -m shared.recover` is told, and what it does not take."""

from datetime import datetime

import pytest

from shared import recover


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--since", "yesterday"], "must be a moment such as 2050-01-31T03:00:00+03:00"),
        (["--since", "2050-01-31T03:00:00"], "must say its offset"),
        (["--until", "2050-01-31T03:00:00Z"], "--until stands beside --since only"),
        (["2050-01-31T03:00:00Z"], "unrecognized arguments"),
    ],
)
def test_what_makes_no_sense_ends_it(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        recover.main(arguments)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("written", ["2050-01-31T03:00:00+03:00", "2050-01-31T00:00Z", "2050-01-31 00:00:00.0+00"])
def test_a_moment_is_the_same_however_it_is_written(written: str) -> None:
    assert recover._moment(written) == datetime.fromisoformat("2050-01-31T00:00:00+00:00")
