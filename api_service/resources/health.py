"""For those who run the service."""

from flask import Response
from flask.views import MethodView

from api_service import errors
from api_service.documentation import Blueprint
from api_service.parts import parts
from api_service.schemas import LiveSchema, ReadySchema

blueprint = Blueprint("Operation", "For those who run the service, and their tools.", is_open=True)


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
        for probe in parts().probes.values():
            probe.ask()
        down = {name: ["Does not answer."] for name, probe in parts().probes.items() if not probe.answers()}
        if down:
            return errors.answer(503, f"No answer from: {', '.join(down)}.", down)
        return dict.fromkeys(parts().probes, "ok")
