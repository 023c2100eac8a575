"""For those who run the service."""

from typing import cast

from flask import Response, current_app
from flask.views import MethodView
from marshmallow import Schema, fields

from api_service.operations.probe import Probe
from api_service.web import answers
from api_service.web.blueprint import Blueprint
from api_service.web.problems import Unavailable
from api_service.web.schema import described, enumerated

blueprint = Blueprint("Operation", "For those who run the service, and their tools.", is_open=True)


class LiveSchema(Schema):
    status = fields.String(required=True, metadata=described("Always `ok`.", example="ok"))


class ReadySchema(Schema):
    database = fields.String(required=True, metadata=described("`ok`: it takes writes.", example="ok"))
    broker = fields.String(
        required=True,
        metadata=enumerated(
            "Health",
            "`ok`, or `down`: then a mailing starts a little later, and nothing else is amiss here.",
            enum=["ok", "down"],
            example="ok",
        ),
    )


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
    @blueprint.operation("isReady", answer=ReadySchema, gives={"database": "ok", "broker": "ok"}, fails=[Unavailable])
    def get(self) -> dict[str, str] | Response:
        """Tell whether requests can be answered

        Whether the database takes writes, within two seconds; 503 otherwise. The broker is asked, too, but no request
        needs it.
        """
        probes = _probes()
        for probe in probes.values():
            probe.ask()
        found = {name: "ok" if probe.answers() else "down" for name, probe in probes.items()}
        down = {name: ["Does not answer."] for name, probe in probes.items() if probe.is_needed and found[name] != "ok"}
        if down:
            return answers.answer(Unavailable, f"No answer from: {', '.join(down)}.", down)
        return found


def _probes() -> dict[str, Probe]:
    return cast(dict[str, Probe], current_app.extensions["probes"])
