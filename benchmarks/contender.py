"""One run of the service as a contender in a comparison of mailing stacks that is made elsewhere.

    BENCH_N=20000 BENCH_PROVIDER_URL=http://… BENCH_AMQP_URL=amqp://… BENCH_DATABASE_URL=postgresql://… \\
        python -m benchmarks.contender

The services named by the environment exist and are empty. The run makes the schema and the directory, starts the API
and the dispatchers (BENCH_DISPATCHERS, 1), warms up, then takes the time from the creation of a mailing over HTTP to
the last status written. Its last line is `{"messages": N, "seconds": S, "worker_cpu_seconds": C}`. An empty
BENCH_AMQP_URL means the table broker.
"""

import json
import os
import sys

from benchmarks.run import WARM_UP, deployed
from benchmarks.services import Addresses, prepare
from sandbox.processes import Processes


def main() -> None:
    addresses = Addresses(
        database_url=os.environ["BENCH_DATABASE_URL"],
        broker_url=os.environ["BENCH_AMQP_URL"],
        provider_url=os.environ["BENCH_PROVIDER_URL"],
    )
    dispatchers = int(os.environ.get("BENCH_DISPATCHERS", "1"))
    with Processes(lambda name, line: print(f"{name}: {line}", file=sys.stderr)) as processes:
        prepare(processes, addresses.database_url, WARM_UP | {"bench": int(os.environ["BENCH_N"])})
        with deployed(processes, addresses, dispatchers=dispatchers) as deployment:
            run = deployment.send("bench")
    print(run, file=sys.stderr)
    print(json.dumps({"messages": run.messages, "seconds": run.seconds, "worker_cpu_seconds": run.cpu["dispatcher"]}))


if __name__ == "__main__":
    main()
