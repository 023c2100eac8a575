"""All pages of the console, as one blueprint."""

from api_service.console import (  # noqa: F401  # each adds its pages
    asset_files,
    audit,
    clients,
    cloning,
    compose,
    days,
    erasing,
    imports,
    keys,
    mailings,
    now,
    provider_sign_in,
    providers,
    retrying,
    segments,
    sessions,
    sign_in,
    suppression_files,
    suppressions,
    test_send,
    wording,
)
from api_service.console.pages import blueprint

__all__ = ["blueprint"]
