"""Images without a registry: docker archives packed here, and archives imported into the node's containerd."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from . import build
from .components import PAUSE_IMAGE
from .console import ClusterError, run, say
from .layout import Layout

COREDNS_IMAGE = "assay.local/coredns:1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(archive: Path, reference: str, files: Mapping[str, bytes | Path], command: list[str]) -> None:
    """Write a one-layer docker archive. `files` maps absolute paths to contents, or to a file whose mode is kept.

    The same input gives the same bytes. An image without `command` is data only, for an image volume.
    """
    layer = _layer(files)
    digest = hashlib.sha256(layer).hexdigest()
    # Whether an image runs as root is the pod's business: 65532 is only the default of a pod that says nothing.
    configuration = {"Entrypoint": command, "User": "65532:65532"} if command else {}
    machine = run("uname", "-m").strip()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": configuration,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        for name, content in (
            ("layer.tar", layer),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _add(tar, name, content, 0o644)


def load(layout: Layout, archive: Path) -> None:
    """Import a docker or OCI archive: its images can be used by pods at once, with any pull policy but Always.

    Raises:
        ClusterError: the file is missing or not an archive of images.
    """
    if not archive.is_file():
        raise ClusterError(f"load-image {archive}: no such file; expected a docker or OCI archive (.tar)")
    notes = _notes(layout, archive)
    if notes and all(note.is_file() and note.read_text() == _stamp(archive) for note in notes):
        say(f"{archive.name} is loaded already")
        return
    socket = f"--address={layout.containerd_socket}"
    try:
        output = run(str(build.CTR.path), socket, "--namespace=k8s.io", "images", "import", str(archive.resolve()))
    except ClusterError as refusal:
        raise ClusterError(f"load-image {archive}: expected a docker or OCI archive (.tar); {refusal}") from refusal
    for words in map(str.split, output.splitlines()):
        if words[1:] == ["saved"]:
            say(f"loaded {words[0]}")
    for note in notes:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(_stamp(archive))


def _notes(layout: Layout, archive: Path) -> list[Path]:
    """Where it is noted, a reference, which archive its image came from; none for what is no docker archive."""
    try:
        with tarfile.open(archive) as tar, tar.extractfile("manifest.json") or io.BytesIO(b"[]") as manifest:
            references = [tag for image in json.load(manifest) for tag in image.get("RepoTags") or ()]
    except (KeyError, ValueError, tarfile.TarError):
        return []
    return [layout.data_dir / "loaded" / hashlib.sha256(tag.encode()).hexdigest() for tag in references]


def _stamp(archive: Path) -> str:
    status = archive.stat()
    return f"{archive.resolve()} {status.st_size} {status.st_mtime_ns}"


def load_system_images(layout: Layout) -> None:
    """Import the pause and CoreDNS images, each holding one static program."""
    for reference, tool in ((PAUSE_IMAGE, build.PAUSE), (COREDNS_IMAGE, build.COREDNS)):
        archive = layout.data_dir / "images" / f"{tool.name}.tar"
        pack(archive, reference, {f"/{tool.name}": tool.path}, [f"/{tool.name}"])
        load(layout, archive)
        archive.unlink()


def _layer(files: Mapping[str, bytes | Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        made: set[str] = set()
        for name, source in sorted(files.items()):
            path = name.lstrip("/")
            for folder in reversed(list(Path(path).parents)[:-1]):
                if str(folder) not in made:
                    made.add(str(folder))
                    _add(tar, str(folder), None, 0o755)
            if isinstance(source, Path):
                _add(tar, path, source.read_bytes(), source.stat().st_mode & 0o777)
            else:
                _add(tar, path, source, 0o644)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes | None, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
