"""How a page is made: its template, and what is shown in it how."""

from typing import Any

from flask import Request, Response, g, make_response
from jinja2 import Environment, PackageLoader, StrictUndefined

from api_service.console import assets, formats, forms, names, sentences
from api_service.console.language import NAMES, chosen, gettext, ngettext
from api_service.web.key import Caller, Scope
from api_service.web.parts import asked

_FOR_PARTS = "HX-Request"


def page(template: str, **values: Any) -> Response:
    """An answer with a page, in the language and the time zone of whoever asks."""
    request = asked()
    whose = {
        "languages": NAMES,
        "here": forms.here(request),
        "section": (request.endpoint or "").rpartition(".")[2],
        "reader": g.get("key"),
        "form_token": forms.token(),
        "zone": formats.zone().key,
        "is_read": request.method == "GET",  # loaded once more, it does nothing
    }
    return _rendered(template, whose | values)


def part(template: str, *, is_over: bool, **values: Any) -> Response:
    """The part of a page that looks for itself what is new. It may be shown to others (`live.shared`), so nothing of
    whoever asks is in it. is_over: nothing in it can change any more."""
    response = _rendered(template, values)
    response.headers["X-Live"] = "over" if is_over else "on"
    return response


def _rendered(template: str, values: dict[str, Any]) -> Response:
    about = {"language": chosen().code, "root": asked().script_root}
    return make_response(_ENVIRONMENT.get_template(template).render(about | values))


def is_part(request: Request) -> bool:
    return _FOR_PARTS in request.headers


def may(scope: str) -> bool:
    """Whether the reader may do what needs this scope: what they may not is not shown."""
    key: Caller | None = g.get("key")
    return key is None or key.scope.allows(Scope(scope))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api_service.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "number": formats.number,
        "percent": formats.percent,
        "moment": formats.moment,
        "state": names.state,
        "status": names.status,
        "status_meaning": names.status_meaning,
        "error": names.error,
        "waiting": names.waiting,
        "action": names.action,
        "import_state": names.import_state,
        "column": names.column,
    }
    environment.filters |= {
        "provider_state": names.provider_state,
        "provider_meaning": names.provider_meaning,
        "scope": names.scope,
        "scope_meaning": names.scope_meaning,
        "receipt": names.receipt,
        "day": formats.day,
        "span": formats.span,
        "said": sentences.said,
    }
    environment.globals |= {"may": may, "asset": assets.address}
    return environment


_ENVIRONMENT = _environment()
