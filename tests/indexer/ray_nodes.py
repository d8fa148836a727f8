"""Indexes on a Ray cluster of two nodes on this machine; a node is killed on the way when asked.

Usage: ray_nodes.py LIBRARY FOLDER CATALOG STORE KILL; KILL is 1 to kill the first node whose worker is seen
to hold jobs when some files are recorded. Prints a JSON object. A process of its own, since Ray leaves
threads behind.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}
# Else they give way to all other processes, and would hardly run where a machine has other work.
os.environ |= {"RAY_worker_niceness": "0"}

from ray.cluster_utils import Cluster
from sqlalchemy import select

import searchkit as sk
from searchkit.catalog.tables import Embedding, Job
from searchkit.indexer import RayOptions

_NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
# A node that is silent for five seconds is dead, not for fifteen as usual.
_PATIENCE = {"health_check_period_ms": 1000, "health_check_initial_delay_ms": 1000}


def kill_half_way(library: sk.Library, cluster: Cluster, nodes: list[Any], seen: dict[str, object]) -> None:
    """Wait until something is recorded and a node's worker has jobs, then kill that node.

    Any node, since on a slow machine one may have done all the work before the other's worker has started.
    """
    while not seen.get("ended"):
        with library.catalog.read() as connection:
            owners = set(connection.scalars(select(Job.owner).distinct()))
            recorded = len(list(connection.scalars(select(Embedding.asset_id))))
        for node in nodes:
            if recorded and any(node.node_id[:12] in (owner or "") for owner in owners):
                cluster.remove_node(node, allow_graceful=False)
                seen["killed_after"] = recorded
                return
        time.sleep(0.01)


def main(place: str, folder: str, catalog: str, store: str, kill: str) -> None:
    # The head only keeps the cluster together, so that each node which works can be spared.
    head = {**_NODE, "num_cpus": 0, "_system_config": _PATIENCE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(**_NODE) for _ in range(2)]
    seen: dict[str, object] = {}
    try:
        with sk.open_library(place, catalog=catalog, store=store, batch_size=4, lease_s=600.0) as library:
            killer = threading.Thread(target=kill_half_way, args=(library, cluster, nodes, seen))
            if kill == "1":
                killer.start()
            report = library.index(folder, ray=RayOptions(cluster.address))
            seen["ended"] = True
            if kill == "1":
                killer.join()
            print(json.dumps({**report.to_dict(), **seen}))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
