"""Which version this is, as in the changelog and in `pyproject.toml`: the image has no metadata of packages for it."""

VERSION = "1.0.0"
