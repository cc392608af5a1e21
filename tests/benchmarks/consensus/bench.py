"""How long one epoch takes, exact and in float64 in the same run: `python tests/benchmarks/consensus/bench.py`.

Every validator votes on and is bonded to every miner. One thread, median of seven, the two engines taking turns so that
a busy moment hits both. Peak memory is that of a process of its own for each line.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

SUPPORT = Path(__file__).parents[2] / "support"
SIZES = ((256, 64), (512, 64), (1024, 128), (4096, 256))
VARIANTS = {
    "classic": {"yuma3_on": False, "liquid_alpha_on": False},
    "yuma3": {"yuma3_on": True, "liquid_alpha_on": False},
    "yuma3+liquid": {"yuma3_on": True, "liquid_alpha_on": True},
}
TARGET_MS = {
    (256, 64, "classic"): 5.0,
    (256, 64, "yuma3"): 4.0,
    (256, 64, "yuma3+liquid"): 15.0,
    (4096, 256, "classic"): 250.0,
    (4096, 256, "yuma3"): 200.0,
    (4096, 256, "yuma3+liquid"): 650.0,
}
REFERENCE_MS = {
    (256, 64): (1.5, 1.6, 25.7),
    (512, 64): (4.8, 3.9, 102.6),
    (1024, 128): (18.9, 17.9, 408.0),
    (4096, 256): (276.0, 176.0, 6612.0),
}
"""The chain's own functions in Rust, sparse, on the machine of the specification."""


def measure(n: int, validators: int, variant: str, rounds: int) -> dict[str, float]:
    """Medians in ms and the peak memory of this process in MiB."""
    from assay.consensus import EpochState, run_epoch
    from yuma_support import float_engine
    from yuma_support.states import generated_state

    state = EpochState.from_json(generated_state(n, validators, **VARIANTS[variant]))
    run_epoch(state)
    float_engine.run(state)
    exact_ms: list[float] = []
    float_ms: list[float] = []
    for _ in range(rounds):
        exact_ms.append(_milliseconds(lambda: run_epoch(state)))
        float_ms.append(_milliseconds(lambda: float_engine.run(state)))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "exact_ms": statistics.median(exact_ms),
        "exact_best_ms": min(exact_ms),
        "float_ms": statistics.median(float_ms),
        "peak_mib": peak_mib,
    }


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _in_own_process(n: int, validators: int, variant: str, rounds: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", str(n), str(validators), variant, "--rounds", str(rounds)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def main() -> int:
    """Print the table; the exit status says whether every target was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one", nargs=3, metavar=("N", "V", "VARIANT"), help="measure one line and print it as JSON")
    arguments = parser.parse_args()
    sys.path.insert(0, str(SUPPORT))
    if arguments.one:
        n, validators, variant = arguments.one
        print(json.dumps(measure(int(n), int(validators), variant, arguments.rounds)))
        return 0
    heads = f"{'exact':>9} {'best':>9} {'float64':>9} {'ratio':>6} {'target':>7} {'Rust':>8} {'peak':>9}"
    print(f"{'n / V':>12} {'variant':<13} {heads}")
    missed = 0
    for n, validators in SIZES:
        for position, variant in enumerate(VARIANTS):
            row = _in_own_process(n, validators, variant, arguments.rounds)
            target = TARGET_MS.get((n, validators, variant))
            missed += target is not None and (row["exact_ms"] > target or row["peak_mib"] > 600)
            print(
                f"{f'{n} / {validators}':>12} {variant:<13} {row['exact_ms']:>6.2f} ms {row['exact_best_ms']:>6.2f} ms"
                f" {row['float_ms']:>6.2f} ms {row['exact_ms'] / row['float_ms']:>6.2f} {target or '':>7}"
                f" {REFERENCE_MS[n, validators][position]:>8} {row['peak_mib']:>5.0f} MiB",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
