"""/docs/errors/: what each `type` of an error answer means. Open, as the document is."""

from html import escape

from flask import Blueprint, Response

from api_service.web.problems import TYPES, NotFound

blueprint = Blueprint("error_pages", __name__, url_prefix="/docs/errors")


@blueprint.get("/")
def index() -> Response:
    rows = "".join(
        f'<li><a href="{slug}/">{slug}</a> ({int(kind.status)}): {escape(kind.meaning)}</li>'
        for slug, kind in TYPES.items()
    )
    return _page("Types of error answers", f"<ul>{rows}</ul>")


@blueprint.get("/<slug>/")
def page(slug: str) -> Response:
    kind = TYPES.get(slug)
    if kind is None:
        raise NotFound(f"There is no such type of an error: {slug[:64]!r}.")
    status = f"{int(kind.status)} {kind.status.phrase}"
    said = f"<p>{escape(kind.meaning)}</p><p>What helps: {escape(kind.advice)}</p>"
    return _page(
        slug, f'<p>{status}</p>{said}<p>Such as: {escape(kind.sample[0])}</p><p><a href="../">All types</a></p>'
    )


def _page(title: str, body: str) -> Response:
    return Response(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>{body}</body></html>\n",
        content_type="text/html; charset=utf-8",
    )
