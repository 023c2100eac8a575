"""The attributes of a client, in requests and answers, and in filters of lists."""

import json
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from api_service.web.filters import NAME, TWICE, VALUE
from api_service.web.page import ANY_NAME
from shared.domain import attributes
from shared.domain.attributes import MAX, MAX_NAME, TOO_MANY
from shared.domain.text.shown import label


class Attributes(fields.Dict):
    """Values by name. Errors are by name as well, each cut to what a name may have."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"maxProperties": MAX, "propertyNames": NAME, **kwargs.pop("metadata", {})}
        super().__init__(values=fields.Raw(metadata=VALUE), metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be a JSON object.")
        if len(value) > MAX:
            raise ValidationError(TOO_MANY)
        found: dict[str, attributes.Value] = {}
        faults: dict[str, list[str]] = {}
        for given_name, given in value.items():
            name, kept = attributes.trimmed(given_name), attributes.trimmed(given)
            if (
                fault := attributes.name_fault(name)
                or attributes.value_fault(kept)
                or (TWICE if name in found else None)
            ):
                faults[given_name[:MAX_NAME]] = [fault]
            else:
                found[name] = kept
        if faults:
            raise ValidationError(faults)
        return found


FILTER = f"attribute.{ANY_NAME}"
_PREFIX = FILTER.removesuffix(ANY_NAME)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?")


def wanted(query: Mapping[str, str]) -> dict[str, list[attributes.Value]]:
    """Values by the name of an attribute, of the parameters that ask for them: `5` is a number, too, and `true` a
    boolean. Errors are by parameter. Raises ValidationError."""
    found: dict[str, list[attributes.Value]] = {}
    faults: dict[str, list[str]] = {}
    for parameter in query:
        if parameter.startswith(_PREFIX):
            name, value = label(parameter.removeprefix(_PREFIX)), label(query[parameter])
            if fault := (
                attributes.name_fault(name) or attributes.value_fault(value) or (TWICE if name in found else None)
            ):
                faults[parameter] = [fault]
            else:
                found[name] = _spoken(value)
    if faults:
        raise ValidationError(faults)
    return found


def _spoken(value: str) -> list[attributes.Value]:
    if value in ("true", "false"):
        return [value, value == "true"]
    if _NUMBER.fullmatch(value) and attributes.value_fault(number := json.loads(value)) is None:
        return [value, number]
    return [value]
