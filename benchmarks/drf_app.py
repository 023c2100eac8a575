"""The directory of clients as Django REST framework has it: the same model, the same rules, the same answers.

With an `Idempotency-Key` a request does all that ours does, in one transaction as ours: the answer is kept with a
digest of the request and given again to the same one, another one under the key is refused, one that comes while the
first is under way is told so, and the creation is a line of the audit. Without a key it writes no audit.

Without middleware, authentication and the browsable API, and with a database connection kept per thread. Runs under an
interpreter that has Django, djangorestframework, gunicorn and psycopg2 and nothing of ours:
`gunicorn benchmarks.drf_app:application`.
"""

import hashlib
import os
import re
import unicodedata
import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

_URL = urlsplit(os.environ["DATABASE_URL"])

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _URL.path[1:],
            "USER": _URL.username or "",
            "PASSWORD": _URL.password or "",
            "HOST": parse_qs(_URL.query).get("host", [_URL.hostname or ""])[0],
            "PORT": _URL.port or "",
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=[],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, renderers, serializers, status  # noqa: E402
from rest_framework.exceptions import APIException  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402

_ZONES = zoneinfo.available_timezones()
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Client(models.Model):
    id = models.BigAutoField(primary_key=True)
    phone = models.BigIntegerField(unique=True)
    operator_code = models.CharField(max_length=3)
    tag = models.CharField(max_length=64, blank=True, default="")
    timezone = models.CharField(max_length=64)
    attributes = models.JSONField(default=dict)
    reference = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "directory"
        db_table = "clients"


class Audit(models.Model):
    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=64)
    action = models.CharField(max_length=32)
    thing = models.CharField(max_length=32)
    thing_id = models.CharField(max_length=32)

    class Meta:
        app_label = "directory"
        db_table = "audit"


class KeptAnswer(models.Model):
    pk = models.CompositePrimaryKey("caller", "key")
    caller = models.CharField(max_length=12, default="")
    key = models.CharField(max_length=255)
    digest = models.BinaryField()
    made_at = models.DateTimeField(auto_now_add=True)
    status = models.SmallIntegerField()
    body = models.BinaryField()

    class Meta:
        app_label = "directory"
        db_table = "kept_answers"


class Phone(serializers.RegexField):
    """`"7XXXXXXXXXX"` outside, an integer inside."""

    def __init__(self) -> None:
        super().__init__(r"^7[0-9]{10}\Z")

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return int(super().run_validation(data))


class Label(serializers.CharField):
    """Without blanks at its ends, in NFC."""

    def to_internal_value(self, data: Any) -> str:
        return unicodedata.normalize("NFC", super().to_internal_value(data))


def _zone(name: str) -> None:
    if name not in _ZONES:
        raise serializers.ValidationError("Must be an IANA time zone such as Europe/Moscow.")


def _attributes(values: dict[str, Any]) -> None:
    if len(values) > 50 or any(len(name) > 64 for name in values):
        raise serializers.ValidationError("Must be at most 50, with names of at most 64 characters.")
    if any(not isinstance(one, str | int | float) or len(str(one)) > 1000 for one in values.values()):
        raise serializers.ValidationError("Must be strings, numbers, true or false.")


class ClientSerializer(serializers.ModelSerializer):
    phone = Phone()
    operator_code = serializers.RegexField(r"^[0-9]{3}\Z", required=False)
    tag = Label(max_length=64, allow_blank=True, default="")
    timezone = serializers.CharField(max_length=64, default="UTC", validators=[_zone])
    attributes = serializers.DictField(default=dict, validators=[_attributes])
    reference = serializers.CharField(max_length=64, allow_null=True, default=None)

    class Meta:
        model = Client
        fields = ("id", "phone", "operator_code", "tag", "timezone", "attributes", "reference")

    def validate_phone(self, phone: int) -> int:
        if Client.objects.filter(phone=phone).exists():
            raise serializers.ValidationError("Belongs to another client.")
        return phone

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("operator_code", str(attrs["phone"])[1:4])
        return attrs


class InProgress(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The first request with this key is still under way."


class Unprocessable(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY


class Clients(generics.CreateAPIView):
    queryset = Client.objects.all()
    serializer_class = ClientSerializer

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response | HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return super().create(request, *args, **kwargs)
        return once(key, request, lambda: super(Clients, self).create(request, *args, **kwargs))


def once(key: str, request: Request, answering: Callable[[], Response]) -> HttpResponse:
    """A row of its own for the key would be the usual lock, but whoever comes second waits for it in place of a 409."""
    if not _KEY.fullmatch(key):
        raise Unprocessable({"Idempotency-Key": ["Must be 1 to 255 visible ASCII characters."]})
    asked = f"{request.method} {request.get_full_path()}\0".encode() + request._request.body
    digest = hashlib.sha256(asked).digest()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [key])
            if not cursor.fetchone()[0]:
                raise InProgress()
        if kept := KeptAnswer.objects.filter(caller="", key=key).first():
            if bytes(kept.digest) != digest:
                raise Unprocessable({"Idempotency-Key": ["Was used for another request."]})
            replayed = {"Idempotency-Replayed": "true"}
            return HttpResponse(bytes(kept.body), "application/json", kept.status, headers=replayed)
        made = answering()
        body = renderers.JSONRenderer().render(made.data)
        Audit.objects.create(by="anybody", action="create", thing="client", thing_id=str(made.data["id"]))
        KeptAnswer.objects.create(key=key, digest=digest, status=made.status_code, body=body)
    return HttpResponse(body, "application/json", made.status_code)


urlpatterns = [path("clients/", Clients.as_view())]
application = get_wsgi_application()
