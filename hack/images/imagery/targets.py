"""What can be built: each target's inputs, its image name, and the way from one to the other.

Invariant: an archive's folder is named by a key over everything that went into it, its own image name included.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from imagery import base, buildah, cache, environment, steps

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "hack/images"
MODELS = ROOT / "examples/embeddings/models"
MODEL_INPUTS = tuple(
    MODELS / name for name in ("build.py", "minilm_onnx.py", "wheels.py", "servable", "wheels.txt", "build.txt")
)
VARIANTS = ("fp32", "int8", "smaller", "noise")


@dataclass(frozen=True)
class Names:
    """How images are called and where they go."""

    registry: str = ""  # "" means local archives under localhost/assay
    tag: str = "dev"
    base: str = ""  # "" means the base image made here

    @classmethod
    def from_environment(cls) -> "Names":
        """REGISTRY, TAG and BASE."""
        read = os.environ.get
        return cls(read("REGISTRY", ""), read("TAG") or "dev", read("BASE", ""))

    def reference(self, name: str) -> str:
        """The full image name, for example localhost/assay/triton:dev."""
        return f"{self.registry.rstrip('/') or 'localhost/assay'}/{name}:{self.tag}"


@dataclass(frozen=True)
class Target:
    """One image: its name, the files it is made from, its Dockerfile, and the folder it is built in."""

    image: str
    inputs: tuple[Path, ...]
    dockerfile: Path
    context: Callable[[], Path]
    on_base: bool = True


def all_targets() -> dict[str, Target]:
    """Every target but the base image, by name."""
    operator = ["Dockerfile", ".dockerignore", "requirements.txt", "pyproject.toml", "README.md", "LICENSE", "operator"]
    triton = IMAGES / "triton"
    files = (*(ROOT / name for name in operator), IMAGES / "assay")
    targets = {
        "operator": Target("assay", files, ROOT / "Dockerfile", lambda: ROOT),
        "triton": Target("triton", (triton,), triton / "Dockerfile", lambda: triton),
    }
    dockerfile = IMAGES / "model/Dockerfile"
    for variant in VARIANTS:
        context = _repository(variant)
        name, inputs = f"minilm-{variant}", (dockerfile, *MODEL_INPUTS)
        targets[name] = Target(name, inputs, dockerfile, context, on_base=False)
    return targets


def build(name: str, names: Names) -> str:
    """Build the target `name`; returns its archive's path, or its reference if it was pushed. Raises StepError."""
    if name == "base":
        return str(_base_archive())
    target = all_targets()[name]
    reference = names.reference(target.image)
    if names.registry:
        with _storage():
            _make(target, reference, names)
            buildah.push(reference)
        return reference
    foundation = (names.base or base.content_key()) if target.on_base else ""
    content = cache.key(reference, foundation, cache.tree_key(target.inputs, ROOT))
    folder = cache.root() / "images" / content

    def archive(draft: Path) -> None:
        draft.mkdir(parents=True)
        with _storage():
            _make(target, reference, names)
            buildah.save(reference, draft / f"{target.image}.tar")

    cache.product(folder, archive)
    cache.keep_newest((path.parent for path in folder.parent.glob(f"*/{target.image}.tar")), folder)
    return str(folder / f"{target.image}.tar")


def _storage() -> AbstractContextManager[None]:
    """The storage for one build and its save: another checkout's build would take the same image name."""
    return cache.lock(cache.root() / "buildah.lock")


def _make(target: Target, reference: str, names: Names) -> None:
    arguments = {"BASE": names.base or _base_image()} if target.on_base else {}
    buildah.build(target.dockerfile, target.context(), reference, arguments)
    buildah.prune()


def _base_image() -> str:
    archive = _base_archive()
    reference = f"localhost/assay/base:{archive.parent.name}"
    buildah.load(archive, reference)
    return reference


def _base_archive() -> Path:
    content = base.content_key()
    folder = cache.root() / "images" / content

    def archive(draft: Path) -> None:
        tree = cache.root() / "images" / f"{content}.tree"
        cache.remove(tree)
        try:
            base.bootstrap(tree)
            buildah.commit_tree(tree, f"localhost/assay/base:{content}")
        finally:
            cache.remove(tree)
        draft.mkdir(parents=True)
        buildah.save(f"localhost/assay/base:{content}", draft / "base.tar")

    return cache.product(folder, archive) / "base.tar"


def _repository(variant: str) -> Callable[[], Path]:
    """How to make the model repository of `variant`, in an environment that has what its builder imports."""

    def context() -> Path:
        folder = cache.root() / "models" / f"repositories-{cache.tree_key(MODEL_INPUTS, ROOT)}"
        python = environment.cached("models", MODELS / "build.txt")

        def make(draft: Path) -> None:
            steps.run(f"model repository {variant}", [python, MODELS / "build.py", "--out", draft, variant])

        made = cache.product(folder / variant, make) / variant
        cache.keep_newest(folder.parent.glob("repositories-*"), folder)
        return made

    return context
