"""The identity provider: where it sends people, and who they are when they come back.

It is asked when somebody signs in, and never before: without it the service starts, and all goes on for whoever has
signed in already.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import requests
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError

from api_service.access.oidc import id_token, metadata, wire
from api_service.access.oidc.attempt import Attempt
from api_service.access.oidc.errors import Away, UnknownKey, Unproven
from api_service.access.oidc.id_token import Wanted
from api_service.access.oidc.identity import Client, Identity
from api_service.access.oidc.metadata import Metadata
from shared import clock

JUST_NOW = 300
"""Seconds since when somebody may have proved who they are where that is asked for once more."""

_LONGEST_CODE = 4096
_FRESH = 3600.0  # seconds after which what the provider publishes is read again
_TURN = 1.0  # seconds that one waits for another who asks
_IN_LINE = 3  # threads: one that asks, and those that wait; else strangers with made-up answers could hold them all
_PAUSE = 5.0  # seconds for which nobody asks again after a failure


class IdentityProvider:
    """One for each process. Whoever asks does so alone: a provider that is slow holds up one thread, and the others
    are told so after a second."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._turn = threading.Lock()
        self._line = threading.BoundedSemaphore(_IN_LINE)
        # All of this is written by whose turn it is.
        self._known: tuple[float, Metadata] | None = None  # since when, in ticks
        self._keys: dict[str, Any] | None = None
        self._away_until = 0.0  # in ticks

    def address(self, attempt: Attempt, back: str) -> str:
        """Where somebody signs in. back: the address that they then come back to. Raises Away."""
        known = self._metadata()
        again = {"prompt": "login", "max_age": str(JUST_NOW)} if attempt.is_again else {}
        with self._session(known, back) as session:
            address, _ = session.create_authorization_url(
                known.authorization,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **again,
            )
        return str(address)

    def identify(self, attempt: Attempt, answer: Mapping[str, str], back: str) -> Identity:
        """Who has come back with this answer. back: the address that they came to. Raises Away, Unproven."""
        known = self._metadata()
        self._check(known, attempt, answer)
        with self._asking(), self._session(known, back) as session:
            token = _token(session, known, attempt, answer["code"])
            claims = self._claims(session, known, attempt, token)
            if self.client.groups_claim not in claims and known.userinfo:
                claims = _with_userinfo(session, known.userinfo, claims)
        return self._identity(claims, attempt, token["id_token"])

    def end_address(self, hint: str, back: str) -> str | None:
        """Where somebody signs out; None: the provider has no such place. hint: the ID token that they signed in with.
        back: the address that they then come back to. Raises Away."""
        place = self._metadata().end_session
        if place is None:
            return None
        about = {"id_token_hint": hint, "client_id": self.client.id, "post_logout_redirect_uri": back}
        return str(add_params_to_uri(place, about))

    def _check(self, known: Metadata, attempt: Attempt, answer: Mapping[str, str]) -> None:
        """Whether this is the provider's answer to this attempt. Raises Unproven."""
        if not attempt.is_of(answer.get("state", "")) or attempt.is_over(clock.now()):
            raise Unproven("it answers no sign-in that this browser has begun, or began less than ten minutes ago")
        issuer = answer.get("iss")
        if issuer != self.client.issuer and (issuer is not None or known.names_itself):
            raise Unproven("another provider answers")
        code = answer.get("code", "")
        if not code or not code.isascii() or not code.isprintable() or len(code) > _LONGEST_CODE:
            raise Unproven(f"the provider says {answer.get('error', 'nothing')[:40]!r}")

    def _claims(self, session: Any, known: Metadata, attempt: Attempt, token: Mapping[str, Any]) -> dict[str, Any]:
        """Raises Away, Unproven. The provider may have other keys than those at hand: then it is asked for them."""
        wanted = Wanted(self.client.issuer, self.client.id, attempt.nonce, known.algorithms)
        if self._keys is not None:
            with suppress(UnknownKey):
                return id_token.checked(token, self._keys, wanted, clock.now())
        self._keys = wire.get(session, known.keys, withhold_token=True)
        return id_token.checked(token, self._keys, wanted, clock.now())

    def _identity(self, claims: Mapping[str, Any], attempt: Attempt, text: str) -> Identity:
        """Raises Unproven."""
        proved_at = _moment(claims.get("auth_time"))
        if attempt.is_again and (
            proved_at is None or (clock.now() - proved_at).total_seconds() > JUST_NOW + id_token.LEEWAY
        ):
            raise Unproven("they were to prove anew who they are, and have not")
        groups = claims.get(self.client.groups_claim, [])
        groups = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        names = (claims.get(one) for one in ("name", "preferred_username"))
        name = next((one for one in names if isinstance(one, str) and one.strip()), claims["sub"])
        return Identity(
            subject=claims["sub"],
            name="".join(sign for sign in name.strip() if sign.isprintable())[:64] or "?",
            groups=frozenset(one for one in groups if isinstance(one, str)),
            authenticated_at=proved_at,
            id_token=text,
        )

    def _metadata(self) -> Metadata:
        """Raises Away."""
        known = self._known
        if known and clock.ticks() - known[0] < _FRESH:
            return known[1]
        try:
            with self._asking(), wire.session() as session:
                place = self.client.issuer.rstrip("/") + metadata.PATH
                try:
                    found = metadata.parsed(wire.get(session, place, withhold_token=True), self.client.issuer)
                except ValueError as error:
                    raise Away(f"{place}: {error}") from error
                self._known, self._keys = (clock.ticks(), found), None
                return found
        except Away:
            if known is None:
                raise
            return known[1]

    def _session(self, known: Metadata, back: str) -> Any:
        return wire.session(
            client_id=self.client.id,
            client_secret=self.client.secret or None,
            token_endpoint_auth_method=known.method if self.client.secret else "none",
            scope=known.scope,
            redirect_uri=back,
            code_challenge_method="S256",
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Alone, and not right after it failed. Raises Away."""
        if clock.ticks() < self._away_until:
            raise Away("it did not answer a moment ago")
        if not self._line.acquire(blocking=False):
            raise Away("others wait for it")
        try:
            if not self._turn.acquire(timeout=_TURN):
                raise Away("somebody else waits for it")
            try:
                yield
            except Away:
                self._away_until = clock.ticks() + _PAUSE
                raise
            finally:
                self._turn.release()
        finally:
            self._line.release()


def _token(session: Any, known: Metadata, attempt: Attempt, code: str) -> Mapping[str, Any]:
    """What the code stands for. Raises Away, Unproven."""
    try:
        token = session.fetch_token(
            known.token, grant_type="authorization_code", code=code, code_verifier=attempt.verifier,
            redirect_uri=session.redirect_uri, allow_redirects=False,
        )  # fmt: skip
    except OAuthError as error:
        raise Unproven(f"the provider refuses the code: {str(error.error)[:40]!r}") from error
    except (requests.RequestException, ValueError) as error:
        raise Away(f"{known.token}: {type(error).__name__}") from error
    if not isinstance(token, dict) or not isinstance(token.get("id_token"), str):
        raise Unproven("there is no ID token")
    return dict(token)


def _moment(given: Any) -> datetime | None:
    """Of a claim, and not after now: clocks differ."""
    is_number = isinstance(given, (int, float)) and 0 < given < clock.now().timestamp() + id_token.LEEWAY
    return min(datetime.fromtimestamp(given, UTC), clock.now()) if is_number else None


def _with_userinfo(session: Any, place: str, claims: dict[str, Any]) -> dict[str, Any]:
    """The claims, and what the provider tells beside the ID token of the same person. Raises Away, Unproven."""
    try:
        more = wire.get(session, place)
    except OAuthError as error:
        raise Unproven(f"{place}: {str(error.error)[:40]!r}") from error
    if more.get("sub") != claims["sub"]:
        raise Unproven("the provider tells of somebody else")
    return more | claims
