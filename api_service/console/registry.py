"""All pages of the console, as one blueprint."""

from api_service.console import (  # noqa: F401  # each adds its pages
    asset_files,
    audit,
    clients,
    compose,
    erasing,
    imports,
    mailings,
    now,
    provider_sign_in,
    segments,
    sign_in,
    suppression_files,
    suppressions,
)
from api_service.console.pages import blueprint

__all__ = ["blueprint"]
