"""Profiles that come with the product, a file each; what they are made from stands in their first lines."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any


@lru_cache(maxsize=1)
def presets() -> Mapping[str, Mapping[str, Any]]:
    """All of them, by name."""
    found = (file for file in files(__name__).iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): tomllib.loads(file.read_text("utf-8")) for file in sorted(found, key=str)}
