"""buildah, with a storage of its own in the cache: no daemon, no registry, and the user's own images stay untouched.

How this machine reaches its package index (pip's settings, certificates) goes into a build as a secret and as read-only
mounts, so no layer and no image history holds it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from imagery import cache, steps

CERTIFICATES = Path("/etc/ssl/certs")
_MOST_IMAGES = 100
_SECRET = "ASSAY_IMAGE_PIP_CONF"


def command(*arguments: str | Path) -> list[str | Path]:
    """The argv of a buildah call on our storage."""
    root = cache.root() / "buildah"
    return ["buildah", "--root", root, "--runroot", f"/run/assay-images-{cache.key(str(root))[:6]}", *arguments]


def build(dockerfile: Path, context: Path, reference: str, arguments: Mapping[str, str]) -> None:
    """Build `reference` into the storage; unchanged layers come from earlier builds. Raises StepError."""
    settings = pip_settings()
    argv = command("bud", "--isolation", "chroot", "--network", "host", "--layers", "--format", "docker")
    for name, value in arguments.items():
        argv += ["--build-arg", f"{name}={value}"]
    for mount in _mounts(settings):
        argv += ["--volume", f"{mount}:{mount}:ro"]
    argv += ["--secret", f"id=pip.conf,env={_SECRET}", "--tag", reference, "--file", dockerfile, context]
    lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
    steps.run(f"image {reference}", argv, env={_SECRET: "\n".join(lines) + "\n"})


def prune() -> None:
    """Drop layers that no named image uses, once there are so many that they are mostly of old sources."""
    if len(steps.output(command("images", "--all", "--quiet")).split()) > _MOST_IMAGES:
        steps.run("pruning old layers", command("rmi", "--prune"))


def save(reference: str, archive: Path) -> None:
    """Write the image as a docker archive."""
    steps.run(f"archive {archive.name}", command("push", reference, f"docker-archive:{archive}:{reference}"))


def push(reference: str) -> None:
    """Push the image to the registry its name says."""
    steps.run(f"push {reference}", command("push", reference, f"docker://{reference}"))


def load(archive: Path, reference: str) -> None:
    """Make sure that the storage has `reference`, taking it from `archive` if it does not."""
    probe = [str(a) for a in command("inspect", "--type", "image", reference)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        steps.run(f"loading {archive.name}", command("pull", f"docker-archive:{archive}"))


def commit_tree(tree: Path, reference: str) -> None:
    """Make an image of one layer from the folder `tree`."""
    container = steps.output(command("from", "scratch"))
    try:
        steps.run("base layer", command("add", container, tree, "/"))
        steps.output(command("config", "--cmd", "/bin/sh", container))
        steps.run("base image", command("commit", "--format", "docker", container, reference))
    finally:
        steps.output(command("rm", container))


def pip_settings() -> dict[str, str]:
    """pip's effective settings on this machine, from its files and environment, by option name."""
    listed = steps.output([sys.executable, "-m", "pip", "config", "list"])
    settings: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):  # the environment wins
        section, _, rest = line.partition(".")
        name, _, value = rest.partition("=")
        value = value.strip("'\"")
        if section in ("global", "install", ":env:") and not _leads_nowhere(value):
            settings[name] = value
    return settings


def _leads_nowhere(value: str) -> bool:
    """A local path that is missing, or a folder with nothing in it."""
    return value.startswith("/") and not (
        Path(value).is_file() or (Path(value).is_dir() and any(Path(value).iterdir()))
    )


def _mounts(settings: Mapping[str, str]) -> list[Path]:
    """Host folders a build needs: certificates, and local folders that pip's settings point to."""
    named = [Path(value) for value in settings.values() if value.startswith("/")]
    folders = [CERTIFICATES, *(path if path.is_dir() else path.parent for path in named if path.exists())]
    return [f for f in dict.fromkeys(folders) if f.is_dir() and not any(p in folders for p in f.parents)]


def require() -> None:
    """Check that images can be built: root (mounts, device nodes, foreign owners) and buildah. Raises StepError."""
    if os.geteuid():
        raise steps.StepError("images: building needs root; run it with sudo -E, or build the Dockerfiles with docker")
    steps.require("buildah", "buildah")
