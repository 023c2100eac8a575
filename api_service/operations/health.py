"""For those who run the service."""

from typing import cast

from flask import Response, current_app
from flask.views import MethodView
from marshmallow import Schema, fields

from api_service.operations.probe import Probe
from api_service.web import problems
from api_service.web.document import Blueprint
from api_service.web.schema import described

blueprint = Blueprint("Operation", "For those who run the service, and their tools.", is_open=True)


class LiveSchema(Schema):
    status = fields.String(required=True, metadata=described("Always `ok`.", example="ok"))


class ReadySchema(Schema):
    database = fields.String(required=True, metadata=described("Always `ok`.", example="ok"))
    broker = fields.String(required=True, metadata=described("Always `ok`.", example="ok"))


@blueprint.route("/health/live")
class Live(MethodView):
    @blueprint.operation("isLive", answer=LiveSchema, gives={"status": "ok"})
    def get(self) -> dict[str, str]:
        """Tell whether the process is up

        It asks nobody else: a process that answers need not be restarted.
        """
        return {"status": "ok"}


@blueprint.route("/health/ready")
class Ready(MethodView):
    @blueprint.operation("isReady", answer=ReadySchema, gives={"database": "ok", "broker": "ok"}, fails=[503])
    def get(self) -> dict[str, str] | Response:
        """Tell whether database and broker answer

        Within two seconds each. 503 otherwise; `errors` then has an entry for each that does not.
        """
        for probe in _probes().values():
            probe.ask()
        down = {name: ["Does not answer."] for name, probe in _probes().items() if not probe.answers()}
        if down:
            return problems.answer(503, f"No answer from: {', '.join(down)}.", down)
        return dict.fromkeys(_probes(), "ok")


def _probes() -> dict[str, Probe]:
    return cast(dict[str, Probe], current_app.extensions["probes"])
