"""The attributes of a client, in requests and answers."""

from typing import Any

from marshmallow import ValidationError, fields

from api_service.web.filters import NAME, TWICE, VALUE
from shared.domain import attributes
from shared.domain.attributes import MAX, MAX_NAME, TOO_MANY


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
