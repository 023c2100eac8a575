"""Why nobody is signed in. The texts say it for the log."""


class Away(Exception):
    """The identity provider cannot be asked, or answers what makes no sense."""


class Unproven(Exception):
    """What came back from it proves nothing."""


class UnknownKey(Unproven):
    """It is signed with none of the keys at hand; perhaps the provider has others by now."""
