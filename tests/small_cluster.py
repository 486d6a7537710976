"""A Ray cluster on this machine whose nodes can be killed: private, small, and gone afterwards."""

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

STORE_BYTES = 80 * 2**20
_FOR_GOOD = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64}
"""What Ray reads once in a process, when it is imported; so it stays."""
_SETTINGS = {
    # A node that is killed is missed after some of these.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "5",
}


class Cluster:
    """A head that runs nothing but the driver, and nodes beside it, by id."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.nodes = {}

    @property
    def address(self):
        return self._cluster.address

    def add(self, **node):
        made = self._cluster.add_node(object_store_memory=STORE_BYTES, include_log_monitor=False, **node)
        self.nodes[made.node_id] = made
        return made.node_id

    def kill(self, node_id):
        """End a node with all its processes, as a power cut would."""
        self._cluster.remove_node(self.nodes.pop(node_id), allow_graceful=False)


@contextmanager
def cluster_of(*nodes, **settings):
    """Start a cluster with these nodes; end it, and every process of it, afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="farm-"))  # short: the names of sockets have little room
    (folder / "ray").mkdir()
    for name, value in _FOR_GOOD.items():
        os.environ.setdefault(name, value)
    before = dict(os.environ)
    os.environ.update({**_SETTINGS, **settings, "RAY_TMPDIR": str(folder)})
    from ray.cluster_utils import Cluster as RayCluster

    cluster = RayCluster()
    try:
        made = Cluster(cluster)
        cluster.add_node(num_cpus=0, object_store_memory=STORE_BYTES, include_dashboard=False)
        for node in nodes:
            made.add(**node)
        yield made
    finally:
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node, allow_graceful=False)
        if cluster.head_node is not None:
            cluster.remove_node(cluster.head_node, allow_graceful=False)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder_or_address):
    """Return the ids of processes whose command line names something, such as a cluster's address."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder_or_address in words and int(name) != os.getpid():
            found.append(int(name))
    return found


def wait_until(is_so, seconds=20.0):
    """Return whether something became so in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.1)
    return False
