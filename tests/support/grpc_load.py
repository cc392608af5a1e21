"""A gRPC client that keeps its connections and never tries again; run beside the node, where Services can be reached.

    python grpc_load.py HOST:PORT MODEL CONNECTIONS

Asks until its standard input ends, then prints {"answered": …, "failed": […]} as JSON.
"""

import asyncio
import json
import sys

import numpy as np
import tritonclient.grpc.aio as triton

PAUSE_S = 0.02
TIMEOUT_S = 10.0
LIKE_A_SCORER = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]


async def ask(address: str, model: str, answered: list[int], failed: list[str]) -> None:
    """One connection's requests, one after the other, until cancelled."""
    text = triton.InferInput("text", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"hello"], dtype=object))
    async with triton.InferenceServerClient(address, channel_args=LIKE_A_SCORER) as server:
        while True:
            try:
                await server.infer(model, [text], client_timeout=TIMEOUT_S)
                answered.append(1)
            except triton.InferenceServerException as error:
                failed.append(f"{error.status()}: {error.message()}")
            await asyncio.sleep(PAUSE_S)


async def main(address: str, model: str, connections: int) -> None:
    """Ask on all connections until standard input ends."""
    answered: list[int] = []
    failed: list[str] = []
    askers = [asyncio.create_task(ask(address, model, answered, failed)) for _ in range(connections)]
    await asyncio.to_thread(sys.stdin.read)
    for asker in askers:
        asker.cancel()
    await asyncio.gather(*askers, return_exceptions=True)
    print(json.dumps({"answered": len(answered), "failed": failed}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
