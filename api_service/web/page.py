"""Pages of lists: `page` and `page_size` in the query, X-Pagination in the answer, as flask-smorest has them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask_smorest.pagination import PaginationMixin
from marshmallow import EXCLUDE, Schema, fields, post_load, validate
from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")

MAX_SIZE = 100
MAX_NUMBER = 2**53 - 1  # times MAX_SIZE it still fits a bigint


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def header(self, total: int) -> dict[str, str]:
        """The header that says where in a list of `total` items this page lies."""
        about = PaginationMixin._make_pagination_metadata(self.number, self.size, total)
        return {"X-Pagination": json.dumps(about)}


def total(session: Session, query: Select[Any]) -> int:
    """How many rows the query has."""
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def rows(
    session: Session,
    query: Select[Row],
    key: InstrumentedAttribute[int],
    page: Page,
    total: int,
    *,
    descending: bool = False,
) -> Sequence[Row]:
    """The rows of a page, in the order of `key`.

    Every row on the way to a page is looked at: so a page behind the end, of which the total tells, is not asked for,
    and any other one is reached from the nearer end.

    Args:
        total: how many rows the query has, as of the same moment (`parts.snapshot`).
    """
    before, size = page.offset, max(0, min(page.size, total - page.offset))
    behind = total - before - size
    if size == 0:
        return []
    there, back = (key.desc(), key.asc()) if descending else (key.asc(), key.desc())
    if before <= behind:
        return session.scalars(query.order_by(there).offset(before).limit(size)).all()
    return session.scalars(query.order_by(back).offset(behind).limit(size)).all()[::-1]


class PageSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    page = fields.Integer(
        load_default=1,
        validate=validate.Range(1, MAX_NUMBER),
        metadata={"description": "The page, counted from 1. One behind the last is empty."},
    )
    page_size = fields.Integer(
        load_default=10, validate=validate.Range(1, MAX_SIZE), metadata={"description": "Items on a page."}
    )

    @post_load
    def _page(self, data: dict[str, Any], **_: Any) -> Any:
        return {"page": Page(data.pop("page"), data.pop("page_size")), **data}
