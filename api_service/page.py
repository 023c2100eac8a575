"""Pages of lists: `page` and `page_size` in the query, X-Pagination in the answer, as flask-smorest has them."""

import json
from dataclasses import dataclass
from typing import Any

from flask_smorest.pagination import PaginationMixin
from marshmallow import EXCLUDE, Schema, fields, post_load, validate

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
