"""Enumerations in the document: each is a component of its own, by the name in `x-enum`, wherever it is used.

Programs that make clients give every other enumeration a class of its own for each place, and three where it may be
null.
"""

from typing import Any


def shared_enums(document: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError where two things have one name."""
    found: dict[str, Any] = {}
    told: dict[str, Any] = _without(document, found)
    schemas = told["components"]["schemas"]
    if taken := found.keys() & schemas.keys():
        raise ValueError(f"An enumeration would hide an object of the same name: {', '.join(sorted(taken))}.")
    schemas |= dict(sorted(found.items()))
    return told


def _without(node: Any, found: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_without(one, found) for one in node]
    if not isinstance(node, dict):
        return node
    if "x-enum" not in node:
        return {name: _without(one, found) for name, one in node.items()}
    name, values = node["x-enum"], [value for value in node["enum"] if value is not None]
    found[name] = {"type": "string", "enum": values}
    reference = {"$ref": f"#/components/schemas/{name}"}
    told = {key: node[key] for key in ("description", "readOnly", "default") if key in node}
    return {"anyOf": [reference, {"type": "null"}], **told} if None in node["enum"] else {**reference, **told}
