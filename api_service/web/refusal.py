"""Why a request is refused before anything is done for it. Pure. `docs/metrics.md` lists the reasons."""

from enum import StrEnum


class Refusal(StrEnum):
    NO_KEY = "no_key"  # 401: there is none
    MALFORMED = "malformed"  # 401: what is given cannot be a key
    UNKNOWN = "unknown"  # 401: there is no key of that id
    WRONG_SECRET = "wrong_secret"  # 401: there is one, with another secret  # noqa: S105
    REVOKED = "revoked"  # 401
    EXPIRED = "expired"  # 401
    NO_SESSION = "no_session"  # to the sign-in: nobody has signed in on the console, or it is over
    SIGN_IN = "sign_in"  # 403: what came back from the identity provider proves nothing, or it said no
    NO_GROUP = "no_group"  # 403: somebody whom it knows, in no group that may do anything
    NO_PROVIDER = "no_provider"  # 503: the identity provider does not answer
    FORM = "form"  # 403: a form of the console that is none of this session's
    SCOPE = "scope"  # 403: the key is not for this
    OTHER_SITE = "other_site"  # 403: where no key is needed, a page of another site asks
    FORGED = "forged"  # 401, 403: receipts that are not the provider's
    RATE = "rate"  # 429: more requests a second than API_RATE
    SHARE = "share"  # 429: the key has its share of the threads
    IMPORTS = "imports"  # 429: all places for imports are taken
    EXPORTS = "exports"  # 429: all places for exports are taken
