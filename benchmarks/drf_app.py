"""The directory of clients as Django REST framework has it: the same model, the same rules, the same answers.

Without middleware, authentication and the browsable API, and with a database connection kept per thread. Runs under an
interpreter that has Django, djangorestframework, gunicorn and psycopg2 and nothing of ours:
`gunicorn benchmarks.drf_app:application`.
"""

import os
import zoneinfo
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
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import generics, serializers  # noqa: E402

_ZONES = zoneinfo.available_timezones()


class Client(models.Model):
    id = models.BigAutoField(primary_key=True)
    phone = models.BigIntegerField(unique=True)
    operator_code = models.CharField(max_length=3)
    tag = models.CharField(max_length=64, blank=True, default="")
    timezone = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "directory"
        db_table = "clients"


class Phone(serializers.RegexField):
    """`"7XXXXXXXXXX"` outside, an integer inside."""

    def __init__(self) -> None:
        super().__init__(r"^7[0-9]{10}\Z")

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return int(super().run_validation(data))


def _zone(name: str) -> None:
    if name not in _ZONES:
        raise serializers.ValidationError("Must be an IANA time zone such as Europe/Moscow.")


class ClientSerializer(serializers.ModelSerializer):
    phone = Phone()
    operator_code = serializers.RegexField(r"^[0-9]{3}\Z", required=False)
    timezone = serializers.CharField(max_length=64, default="UTC", validators=[_zone])

    class Meta:
        model = Client
        fields = ("id", "phone", "operator_code", "tag", "timezone")

    def validate_phone(self, phone: int) -> int:
        if Client.objects.filter(phone=phone).exists():
            raise serializers.ValidationError("Belongs to another client.")
        return phone

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("operator_code", str(attrs["phone"])[1:4])
        return attrs


class Clients(generics.CreateAPIView):
    queryset = Client.objects.all()
    serializer_class = ClientSerializer


urlpatterns = [path("clients/", Clients.as_view())]
application = get_wsgi_application()
