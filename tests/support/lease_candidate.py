"""A process that campaigns for a lease, and says so: `python lease_candidate.py KUBECONFIG NAMESPACE NAME IDENTITY
[SERVER]`.

Prints one JSON object a line: that it campaigns, that it leads (with the term), that it still leads (ten times a
second), that it stopped. With SERVER it reaches the API server by that address instead, without credentials: a
proxy's.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from kubernetes.aio.client import Configuration

from assay.kube import auth
from assay.kube.lease import LeaderElector


def say(what: str, term: int) -> None:
    """Print one line. CLOCK_MONOTONIC is the same for all processes of a machine."""
    print(json.dumps({"what": what, "term": term, "at_s": time.monotonic()}), flush=True)


async def lead(term: int) -> None:
    """Lead until cancelled."""
    say("leads", term)
    try:
        while True:
            await asyncio.sleep(0.1)
            say("still", term)
    finally:
        say("stopped", term)


async def main(kubeconfig: str, namespace: str, name: str, identity: str, server: str = "") -> None:
    """Campaign until SIGTERM."""
    configuration = Configuration(host=server) if server else await auth.load(Path(kubeconfig))
    say("campaigns", 0)
    task = asyncio.create_task(LeaderElector(configuration, namespace, name, identity).run(lead))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
