"""Lists come in pages, in the order of ids: by number, with the total, or after an id.

?page=2&page_size=50        X-Pagination, as flask-smorest has it; what is deleted meanwhile shifts the rest
?after_id=1042              Link: <…?after_id=1092>; rel="next"; costs the same everywhere, skips and doubles nothing
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask_smorest.pagination import PaginationMixin
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates_schema
from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api_service.web.parts import asked

Row = TypeVar("Row")
Other = TypeVar("Other")

MAX_SIZE = 100
ANY_NAME = "<name>"
"""At the end of a parameter's name: it stands for all that begin so."""
_DIGITS = re.compile("-?[0-9]+")
MAX_NUMBER = 2**53 - 1  # times MAX_SIZE it still fits a bigint
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """number: counted from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class After:
    """What follows the item of that id in the list, whether or not it is still there."""

    id: int
    size: int


Part = Page | After


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """rows: of the part. total: of the list; None: not counted. next_id: after which there is more."""

    rows: Sequence[Row]
    part: Part
    total: int | None = None
    next_id: int | None = None

    def of(self, change: Callable[[Row], Other]) -> "Listing[Other]":
        return Listing([change(row) for row in self.rows], self.part, self.total, self.next_id)

    def headers(self) -> dict[str, str]:
        """That say where in the list this lies."""
        if isinstance(self.part, Page):
            about = PaginationMixin._make_pagination_metadata(self.part.number, self.part.size, self.total or 0)
            return {"X-Pagination": json.dumps(about)}
        if self.next_id is None:
            return {}
        request = asked()
        query = urlencode({**request.args.to_dict(), "after_id": self.next_id})
        return {"Link": f'<{request.script_root}{request.path}?{query}>; rel="next"'}


def count(session: Session, query: Select[Any]) -> int:
    """How many rows the query has."""
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def cut(
    session: Session,
    query: Select[Row],
    key: InstrumentedAttribute[int],
    part: Part,
    total: Callable[[], int] | None = None,
    *,
    descending: bool = False,
) -> Listing[Row]:
    """A part of the rows, in the order of `key`.

    Every row on the way to a page is looked at: so a page behind the end, of which the total tells, is not asked for,
    and any other one is reached from the nearer end.

    Args:
        total: how many rows the query has, as of the same moment (`Work.look`); asked for pages only.
    """
    there, back = (key.desc(), key.asc()) if descending else (key.asc(), key.desc())
    if isinstance(part, After):
        if part.id:  # 0: from the beginning
            query = query.where(key < part.id if descending else key > part.id)
        found = session.scalars(query.order_by(there).limit(part.size + 1)).all()
        return after(found, part, key.key)
    number = count(session, query) if total is None else total()
    before, size = part.offset, max(0, min(part.size, number - part.offset))
    behind = number - before - size
    if size == 0:
        rows: Sequence[Row] = []
    elif before <= behind:
        rows = session.scalars(query.order_by(there).offset(before).limit(size)).all()
    else:
        rows = session.scalars(query.order_by(back).offset(behind).limit(size)).all()[::-1]
    return Listing(rows, part, number)


def after(found: Sequence[Row], part: After, key: str = "id") -> Listing[Row]:
    """found: one more than wanted, if there is more."""
    rows = found[: part.size]
    return Listing(rows, part, None, getattr(rows[-1], key) if len(found) > part.size else None)


_PAGE = "The page, counted from 1. One behind the last is empty."
_AFTER = (
    "In place of `page`: the items that follow the one of this id, from the beginning with 0; the header `Link` leads"
    " to the next ones. Nothing is skipped or given twice, whatever is deleted meanwhile."
)


class Count(fields.Integer):
    """A whole number of a query: in digits, as everybody writes it, and not in all the ways that Python reads."""

    default_error_messages = {"invalid": "Must be a whole number."}  # noqa: RUF012 - marshmallow merges these

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and not _DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


class PageSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    page = Count(validate=validate.Range(1, MAX_NUMBER), metadata={"description": _PAGE, "default": 1})
    page_size = Count(
        load_default=10, validate=validate.Range(1, MAX_SIZE), metadata={"description": "Items on a page."}
    )
    after_id = Count(validate=validate.Range(0, MAX_ID), metadata={"description": _AFTER})

    @validates_schema
    def _one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        if "page" in data and "after_id" in data:
            raise ValidationError("Cannot be together with page.", "after_id")

    @post_load
    def _part(self, data: dict[str, Any], **_: Any) -> Any:
        size, number, last = data.pop("page_size"), data.pop("page", 1), data.pop("after_id", None)
        return {"part": Page(number, size) if last is None else After(last, size), **data}


def chosen(query: dict[str, Any]) -> dict[str, Any]:
    """The filters among the parameters of a list: those that are given."""
    return {name: value for name, value in query.items() if name not in ("part", "format")}
