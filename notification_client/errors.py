"""What a client raises."""


class ApiError(Exception):
    """An error answer of the HTTP API.

    `status` is the HTTP status (0: no answer at all), `body` the decoded JSON of the answer, or {}, `type` what is
    wrong, as `/docs/errors/` of the service lists it.
    """

    def __init__(self, message: str, status: int = 0, body: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body or {}

    @property
    def type(self) -> str | None:
        found = self.body.get("type")
        return found if isinstance(found, str) else None
