"""All pages of the console, as one blueprint."""

from api_service.console import (
    asset_files,
    audit,
    clients,
    compose,
    erasing,
    imports,
    mailings,
    now,
    segments,
    sign_in,
    suppression_files,
    suppressions,
)
from api_service.console.pages import blueprint

__all__ = ["asset_files", "audit", "blueprint", "clients", "compose", "imports", "mailings", "now", "sign_in"]
__all__ += ["erasing", "segments", "suppression_files", "suppressions"]
