"""Whom it knows: the service, and three people. deploy/demo.env tells the service the same."""

from dataclasses import dataclass

ISSUER = "http://id.localhost:8092"
"""Browsers look for every name under `localhost` on their own machine; in containers it is an alias of ours."""

CLIENT_ID = "notification-service"

CONSOLES = ("http://127.0.0.1:8000/console/", "http://localhost:8000/console/")
"""Where people are led back to."""


@dataclass(frozen=True, slots=True)
class Person:
    login: str
    given_name: str
    family_name: str
    group: str


PEOPLE = (
    Person("anna", "Anna", "Berg", "ops"),
    Person("boris", "Boris", "Lang", "marketing"),
    Person("vera", "Vera", "Holm", "support"),
)
