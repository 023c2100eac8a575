"""Python's collector of cycles, made less busy."""

import gc


def collect_seldom() -> None:
    """For a process that is about to serve: what is there by now stays, and most of what comes is in no cycles. By
    default the collector looks at all of it, and at every module, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
