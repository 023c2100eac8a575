"""Profiles: what a provider's HTTP gateway wants to hear and what it answers, as data. Pure.

provider    what a profile says, checked
template    texts with `{phone}` and other placeholders in them
making      a message as a request, compiled
rules       which answers lead to which outcome
reading     an answer as an outcome, compiled
"""
