"""Two images made on the spot for the node tests: one with the probe program, one that is only data.

Uses the packing and building of hack/cluster, so what the tests run was never pulled from anywhere.
"""

import sys
from pathlib import Path

from cluster import ROOT

sys.path.insert(0, str(ROOT / "hack" / "cluster"))

from localcluster import build, images

PROBE_IMAGE = "assay.local/probe:1"
DATA_IMAGE = "assay.local/probe-data:1"
DATA_FILE = "/greeting/hello.txt"
DATA = b"hello from an image volume\n"


def pack_probe(folder: Path) -> Path:
    """Build the probe program if need be and return a docker archive of PROBE_IMAGE."""
    build.ensure((build.PROBE,))
    archive = folder / "probe.tar"
    images.pack(archive, PROBE_IMAGE, {"/probe": build.PROBE.path}, ["/probe"])
    return archive


def pack_data(folder: Path) -> Path:
    """Return a docker archive of DATA_IMAGE, which holds DATA at DATA_FILE and no program."""
    archive = folder / "data.tar"
    images.pack(archive, DATA_IMAGE, {DATA_FILE: DATA}, [])
    return archive
