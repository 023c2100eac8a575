"""Three RabbitMQ nodes that are one broker, all on this machine."""

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.rabbitmq import Member, NoRabbitMQ, Private, free_ports
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

NAMES = ("one", "two", "three")


class Cluster:
    """Its nodes by name. Queues that are declared while all of them are there have a copy on each."""

    def __init__(self, nodes: dict[str, Private]) -> None:
        self.nodes = nodes

    def vhost(self) -> str:
        """The URL of a new virtual host, at all the nodes."""
        url = urlsplit(next(iter(self.nodes.values())).vhost())
        user = url.netloc.rpartition("@")[0]
        hosts = ",".join(urlsplit(node.url).netloc.rpartition("@")[2] for node in self.nodes.values())
        return url._replace(netloc=f"{user}@{hosts}").geturl()

    def leader(self, url: str, queue: str) -> str:
        """The name of the node that has the say about a queue."""
        node: str = self._any().queues(url)[queue]["leader"]
        return node.partition("@")[0]

    def copies(self, url: str) -> dict[str, int]:
        """On how many nodes each queue of a virtual host is."""
        return {name: len(queue["online"]) for name, queue in self._any().queues(url).items()}

    def in_use(self, url: str) -> str:
        """The name of the node to which most connections of a virtual host go. They are told of some seconds late."""
        connections = wait_until(lambda: self._any().connections(url))
        node: str = Counter(one["node"] for one in connections).most_common(1)[0][0]
        return node.partition("@")[0]

    def start(self, *names: str) -> None:
        """Those of them that do not run, or all; returns when they serve."""
        nodes = [self.nodes[name] for name in names or self.nodes]
        with ThreadPoolExecutor(len(nodes)) as threads:
            list(threads.map(_start, nodes))

    def _any(self) -> Private:
        return next(node for node in self.nodes.values() if node.is_running)


def _start(node: Private) -> None:
    node.start()
    node.control("await_startup")  # it listens before it has finished: what is made then may wait for ever


@contextmanager
def cluster(binary: Path) -> Iterator[Cluster]:
    """Three nodes that serve. binary: the program of a server. Raises NoRabbitMQ."""
    epmd = shutil.which("epmd")
    if not epmd:
        raise NoRabbitMQ("RabbitMQ has come without epmd.")
    with tempfile.TemporaryDirectory(prefix="rabbitmq-") as name:
        home, (port,) = Path(name), free_ports(1)
        (home / ".erlang.cookie").write_text("cluster-of-tests", encoding="ascii")
        (home / ".erlang.cookie").chmod(0o400)
        listed = "".join(
            f"cluster_formation.classic_config.nodes.{number} = {node}@localhost\n"
            for number, node in zip(itertools.count(1), NAMES, strict=False)
        )
        lines = f"cluster_formation.peer_discovery_backend = classic_config\n{listed}"
        names = ServerProcess([epmd, "-port", str(port)], home / "epmd", env={"ERL_EPMD_ADDRESS": "127.0.0.1"})
        nodes = {}
        for node in NAMES:
            (home / node).mkdir()
            nodes[node] = Private(binary, home / node, Member(node, home, port, lines))
        made = Cluster(nodes)
        try:
            made.start()
            yield made
        finally:
            for server in nodes.values():
                server.stop()
            names.kill()
