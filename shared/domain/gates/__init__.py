"""Gates: what a message has to pass on its way to the provider.

Each has a file with its rule, its SQL and its reason; `order` lists them.
"""
