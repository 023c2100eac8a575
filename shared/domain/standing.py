"""How much a mailing may cost before it is known whether the provider takes it at all."""

MOST_OPEN = 20
"""Calls of a mailing that may be open before its first acceptance, and after it was held back."""

REFUSALS = 50
"""So many without an acceptance halt a mailing."""
