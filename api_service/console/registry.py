"""All pages of the console, as one blueprint."""

from api_service.console import asset_files, audit, clients, compose, imports, mailings, now, sign_in
from api_service.console.pages import blueprint

__all__ = ["asset_files", "audit", "blueprint", "clients", "compose", "imports", "mailings", "now", "sign_in"]
