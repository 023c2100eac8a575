"""Python's collector of cycles, made less busy."""

import gc

_SELDOM = (50_000, 20, 50)


def spare_imports() -> None:
    """For a program that begins. What modules are made of stays, and the collector would look at it again and again
    while more comes: a tenth of the time that a start takes."""
    gc.set_threshold(*_SELDOM)


def collect_seldom() -> None:
    """For a process that is about to serve: what is there by now stays, and most of what comes is in no cycles. By
    default the collector looks at all of it, and at every module, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)
