"""Gives each target damaged inputs until the time is up: ``python -m tests.fuzz --minutes 30``.

Inputs follow from their seed: ``--target media --seed 17`` tries one again. A worker process runs them, so that one
that hangs, dies or takes too much memory is found and named, and the rest goes on.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import Worker


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Search for inputs that break the package."
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one")
    parser.add_argument("--seed", type=int, help="only this input of --target")
    parser.add_argument("--first-seed", type=int, default=random.SystemRandom().randrange(2**40))
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    first = chosen.seed if chosen.seed is not None else chosen.first_seed
    until_s = time.monotonic() + 60 * chosen.minutes
    counts, spent_s, faults = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0), 0
    worker = Worker()
    while not counts[names[0]] or (chosen.seed is None and time.monotonic() < until_s):
        name = min(names, key=lambda each: (spent_s[each], names.index(each)))  # each gets the same time
        start_s = time.monotonic()
        fault = worker.run(name, first + counts[name])
        spent_s[name] += time.monotonic() - start_s
        if fault:
            faults += 1
            print(f"--target {name} --seed {first + counts[name]}: {fault}", flush=True)
        counts[name] += 1
        if not worker.is_alive or "MB of memory" in fault:
            worker.close()
            worker = Worker()
    worker.close()
    done = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{done}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
