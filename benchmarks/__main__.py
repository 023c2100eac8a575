"""`python -m benchmarks`: measures, prints a table, and says by its exit code whether every floor was kept.

0: all were. 1: one was not, or something did not work. 130: interrupted.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine, plots, services, table
from benchmarks.figure import Report
from benchmarks.scale import FULL, SMALL, TINY
from benchmarks.scenarios import (
    console,
    crowd,
    dialects,
    directory,
    exporting,
    fairness,
    growth,
    latency,
    launch,
    limited,
    outage,
    outlook,
    personal,
    preflight,
    reading,
    receipts,
    searching,
    segments,
    several,
    slow_provider,
    suppressed,
    throughput,
    waiting,
    years,
)
from sandbox.processes import Processes, interruptible
from sandbox.scratch import scratch

SCALES = {"small": SMALL, "full": FULL, "tiny": TINY}
SCENARIOS = {
    "throughput": throughput.measure,
    "several": several.measure,
    "dialects": dialects.measure,
    "latency": latency.measure,
    "slow-provider": slow_provider.measure,
    "fairness": fairness.measure,
    "crowd": crowd.measure,
    "limited": limited.measure,
    "outage": outage.measure,
    "outlook": outlook.measure,
    "launch": launch.measure,
    "personal": personal.measure,
    "reading": reading.measure,
    "console": console.measure,
    "directory": directory.measure,
    "searching": searching.measure,
    "segments": segments.measure,
    "preflight": preflight.measure,
    "suppressed": suppressed.measure,
    "receipts": receipts.measure,
    "exporting": exporting.measure,
    "growth": growth.measure,
    "waiting": waiting.measure,
    "years": years.measure,
}


def main() -> int:
    options = _options()
    try:
        with interruptible():
            return _run(options)
    except KeyboardInterrupt:
        print("\nInterrupted; everything is cleaned up.", file=sys.stderr)
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="small", help="tiny shows that it works, not how fast")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="SCENARIO",
                        help=", ".join(SCENARIOS))  # fmt: skip
    parser.add_argument(
        "--home", type=Path, default=Path(".local/bench"), help="where data and results lie (%(default)s)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY",
                        help="where the rows of years, made in ten minutes, are kept for the next run")  # fmt: skip
    parser.add_argument("--fill", type=int, metavar="PARTS",
                        help="makes so many of the parts that are missing in --keep, and measures nothing")  # fmt: skip
    parser.add_argument("--plots", type=Path, help="where the plots and the table go (default: beside the results)")
    options = parser.parse_args()
    if options.fill and not options.keep:
        parser.error("--fill needs --keep")
    return options


def _run(options: argparse.Namespace) -> int:
    home = options.home.resolve()
    reports: list[Report] = []
    shown: list[str] = []

    def show(*lines: str) -> None:
        print(*lines, sep="\n", flush=True)
        shown.extend(lines)

    with (
        scratch(home / "data") as directory,
        (home / "log").open("w", encoding="utf-8", buffering=1) as log,
        Processes(lambda name, line: print(f"{name}: {line}", file=log)) as processes,
        services.started(directory, processes, options.keep and options.keep.resolve()) as found,
    ):
        if options.fill:
            print(f"still missing: {years.prepare(found, SCALES[options.scale], options.fill)} parts")
            return os.EX_OK
        facts = dict(machine.facts(found))
        show(*(f"{name:<14}{fact}" for name, fact in facts.items()))
        for name in options.only:
            began = time.monotonic()
            report = SCENARIOS[name](found, SCALES[options.scale])
            reports.append(report)
            show("", *table.lines(report), f"  took {time.monotonic() - began:.0f} s")
    show("", table.verdict(reports))
    results = {"at": time.strftime("%Y-%m-%d %H:%M"), "scale": options.scale, "machine": facts,
               "reports": [asdict(report) for report in reports]}  # fmt: skip
    (home / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    plots.write(options.plots or home, reports)
    ((options.plots or home) / "figures.txt").write_text("\n".join(shown) + "\n", encoding="utf-8")
    return os.EX_OK if all(figure.passes is not False for report in reports for figure in report.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
