"""Reading the body of a request: JSON, and nothing that one could read in two ways."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

from flask import Request
from marshmallow import Schema, ValidationError
from webargs.core import is_json
from webargs.flaskparser import FlaskParser

from api_service.web.coding import decoded
from api_service.web.problems import Invalid, NotJson, TooLarge, WrongType

MAX_BYTES = 64 * 1024


class BodyParser(FlaskParser):
    """Answers 415 for another content type, 400 for what is not JSON, 422 for a name given twice."""

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002
        if not is_json(req.mimetype):
            raise WrongType("The content type must be application/json.")
        body = req.get_data()
        if len(body) > MAX_BYTES:  # Flask cuts a body of unknown length off at its limit and says nothing
            raise TooLarge(f"The body has more than {MAX_BYTES // 1024} KiB.")
        body = b"".join(decoded(req, [body] if body else [], MAX_BYTES))
        try:
            return strict_json(body.decode())
        except (ValueError, RecursionError) as error:
            raise NotJson("The body is not JSON.") from error

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        raise Invalid.everywhere(error.messages_dict) from error


def strict_json(text: str) -> Any:
    """Raises ValueError and RecursionError for what is not JSON, ValidationError for a name given twice."""
    return _DECODER.decode(text)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        times = Counter(name for name, _ in pairs)
        raise ValidationError({name: ["Is given twice."] for name in members if times[name] > 1})
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)
