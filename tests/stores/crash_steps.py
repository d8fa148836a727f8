"""Kills a writer before every step that touches the disk, and checks each time what is left.

Run as a program: ``python crash_steps.py FOLDER``. It forks a child for each step, so it has no threads.
Prints the number of steps as the last line.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from searchkit.stores.faiss import FaissStore, Tuning
from searchkit.stores.faiss.upkeep import Upkeep
from searchkit.testing import unit_rows

DIM = 16
TUNING = Tuning(seal=6, tier=2, exact=0, coded=4, exact_allowed=0)
STEPS = ("pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "ftruncate")

State = dict[int, int]  # the seed of the row that an id has


def operations() -> list[tuple[str, list[int]]]:
    random = np.random.default_rng(4)
    made: list[tuple[str, list[int]]] = []
    for _ in range(7):
        made.append(("upsert", random.integers(0, 12, 3).tolist()))
        if random.random() < 0.4:
            made.append(("delete", random.integers(0, 12, 2).tolist()))
        if random.random() < 0.4:
            made.append(("flush", []))
    return [*made, ("upsert", list(range(30, 38))), ("flush", [])]


def states() -> list[State]:
    """The state before the first operation and after each."""
    state: State = {}
    seen = [dict(state)]
    for number, (verb, ids) in enumerate(operations()):
        for place, id_ in enumerate(ids):
            if verb == "upsert":
                state[id_] = 100 * number + place
            else:
                state.pop(id_, None)
        seen.append(dict(state))
    return seen


def write(folder: Path, acknowledge: int) -> None:
    store = FaissStore(folder, DIM, tuning=TUNING)
    for number, (verb, ids) in enumerate(operations()):
        if verb == "upsert":
            rows = [unit_rows(1, DIM, seed=100 * number + place) for place in range(len(ids))]
            store.upsert(ids, np.concatenate(rows))
        elif verb == "delete":
            store.delete(ids)
        else:
            store.flush()
        os.write(acknowledge, bytes([number + 1]) if verb == "flush" else b"")
    store.compact()
    store.close()


def kill_before(step: int) -> None:
    """Make the step-th call that touches the disk the one that never happens."""
    seen = 0

    def wrapped(function):
        def call(*arguments, **options):
            nonlocal seen
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, wrapped(getattr(os, name)))
    # in this thread, so that the steps of upkeep come in the same order each time
    Upkeep.start = lambda self: self._run()


def check(folder: Path, flushed: int) -> None:
    store = FaissStore(folder, DIM, tuning=TUNING)
    ids = store.ids().tolist()
    rows = dict(zip(ids, store.fetch(ids), strict=True))
    fits = [
        number
        for number, state in enumerate(states())
        if sorted(state) == ids
        and all(
            np.allclose(rows[id_], unit_rows(1, DIM, seed=seed), atol=1e-3) for id_, seed in state.items()
        )
    ]
    assert fits, f"{ids} is the state after no operation"
    assert max(fits) >= flushed, f"the state after operation {max(fits)}, but {flushed} had been flushed"
    assert [hit.id for hit in store.search(rows[ids[0]][None], 1)[0]] == ids[:1] if ids else True
    listed = {name.name for name in folder.iterdir()}
    assert not [name for name in listed if name.endswith(".tmp")], listed
    store.close()


def main(folder: Path) -> None:
    step, killed = 0, True
    while killed:
        step += 1
        shutil.rmtree(folder, ignore_errors=True)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            kill_before(step)
            write(folder, writing)
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        acknowledged = os.read(reading, 1000)
        os.close(reading)
        killed = os.waitstatus_to_exitcode(status) != 0
        assert not killed or os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        try:
            check(folder, acknowledged[-1] if acknowledged else 0)
        except Exception as error:
            raise AssertionError(f"killed before step {step}: {error}") from error
    print(step)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
