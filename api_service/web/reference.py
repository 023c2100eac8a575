"""What others call a thing in their own systems: `reference`, which no two things of one owner share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marshmallow import validate
from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from api_service.web.fields import Text
from api_service.web.problems import Taken
from api_service.web.schema import described


class Reference(Text):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_none=True,
            load_default=lambda: None,
            validate=validate.Length(1, 64),
            metadata=described(
                "What you call it in your own system, 1 to 64 characters; null: nothing. No two of yours share one."
                " Keys of one name are one user's.",
                example="crm-1042",
            ),
            **kwargs,
        )


@contextmanager
def unique(thing: str, *fields: str) -> Iterator[None]:
    """For what stores these fields of a thing, each with a constraint `<thing>s_<field>_key`. Only that can tell,
    because another request may be storing the same value right now. Raises Taken."""
    try:
        yield
    except IntegrityError as error:
        name = error.orig.diag.constraint_name if isinstance(error.orig, UniqueViolation) else None
        for field in fields:
            if name == f"{thing}s_{field}_key":
                raise Taken(f"Another {thing} has this {field}.", {field: [f"Belongs to another {thing}."]}) from error
        raise
