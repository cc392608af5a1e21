"""Kill the leader again and again, and time how long nobody leads: `python tests/benchmarks/failovers.py [COUNT]`.

Three candidates on the local control plane; each killed one is replaced before the next is killed. Prints one JSON
object: the number of failovers, and the seconds from SIGKILL to the next leader's first act (median, 99th
percentile, longest), and whether the terms were all different and never overlapped. The goal is 200 with a 99th
percentile of at most 8 s.
"""

import asyncio
import itertools
import json
import signal
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import waiting
from candidates import Candidate
from cluster import LocalCluster


async def main(count: int) -> None:
    """Run the campaign and print its result."""
    cluster = LocalCluster("it")
    cluster.up()
    namespace = f"failovers-{int(time.time())}"
    cluster.kubectl("create", "namespace", namespace)
    names = itertools.count()

    async def candidate() -> Candidate:
        started = await Candidate.start(cluster.kubeconfig, namespace, f"c{next(names)}")
        await started.watches()
        return started

    took_s: list[float] = []
    living = [await candidate() for _ in range(3)]
    dead: list[Candidate] = []
    try:
        for _ in range(count):
            await waiting.until(lambda: any(c.leads for c in living), 30)
            leader = next(c for c in living if c.leads)
            killed_at_s = time.monotonic()
            leader.signal(signal.SIGKILL)
            living.remove(leader)
            dead.append(leader)
            await waiting.until(lambda: any(c.leads for c in living), 30)
            took_s.append(min(c.diary[1]["at_s"] for c in living if c.leads) - killed_at_s)
            living.append(await candidate())
    finally:
        for each in living:
            await each.end()
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    spans = sorted(span for each in (*dead, *living) for span in each.intervals())
    took_s.sort()
    print(
        json.dumps(
            {
                "failovers": count,
                "median_s": round(statistics.median(took_s), 2),
                "p99_s": round(took_s[min(len(took_s) - 1, int(len(took_s) * 0.99))], 2),
                "longest_s": round(took_s[-1], 2),
                "terms_all_different": len({term for _, _, term in spans}) == len(spans),
                "overlaps": sum(end > start for (_, end, _), (start, _, _) in itertools.pairwise(spans)),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
