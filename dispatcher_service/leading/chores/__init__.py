"""The leader's chores: each brings to an end what nobody else would, and may be left out of a step without harm."""
