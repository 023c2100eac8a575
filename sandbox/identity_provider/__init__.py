"""An identity provider for trying the console's sign-in, with three people; `python -m sandbox.identity_provider`.

It is canaille in memory: nothing is kept, and keys and passwords are new at each start. It takes no other name than one
of this machine, and knows no other service than ours, without a secret and without asking for consent.
"""
