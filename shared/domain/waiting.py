"""Why messages of a mailing wait. Pure."""

from shared.domain.meaning import Meaning


class Waiting(Meaning):
    """Each with what it says of them."""

    DRAFT = "draft", "nobody has started the mailing"
    START = "start", "its start lies ahead"
    LAUNCH = "launch", "its messages are still being created"
    PAUSED = "paused", "it is paused; `paused_because` says by whom"
    WINDOW = "window", "the send window is closed where their clients are"
    RETRY = "retry", "a call did not succeed, and the next one follows on a rung of the ladder"
    HELD = "held", "its calls come to nothing while others are served: it is held back alone"
    NO_DISPATCHER = "no_dispatcher", "no dispatcher is running"
    PROVIDER_DOWN = "provider_down", "the provider serves nobody"
    OTHERS = "others", "more urgent mailings have most of the pace"
    RATE = "rate", "`DISPATCH_RATE` lets no more out"
    PROVIDER_LIMITED = "provider_limited", "the provider says that it is too much, and is given what it takes"
    PACE = "pace", "they go out as fast as calls are made and answered"
