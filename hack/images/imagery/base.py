"""The base image: a minimal Debian (or Ubuntu) with Python, made by debootstrap from this machine's own mirror.

For machines that reach no container registry. The mirror's address is read from the apt sources when needed. Invariant:
the image holds no trace of this machine: no mirror, no resolver, no host name.
"""

import platform
import re
import shutil
from pathlib import Path

from imagery import cache, steps

PACKAGES = ("ca-certificates", "python3", "python3-venv")
_WASTE = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")


def packages() -> tuple[str, ...]:
    """What the image holds besides the minimum; the shared libpython is for Triton's Python backend."""
    return (*PACKAGES, "libpython3." + _distribution_python())


def content_key() -> str:
    """Changes when the recipe or the distribution does; not with every package update of the mirror."""
    return cache.key(suite(), *packages(), Path(__file__).read_bytes())


def suite() -> str:
    """The code name of this machine's distribution, for example bookworm."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def bootstrap(tree: Path) -> None:
    """Fill the new folder `tree` with the base system. Raises StepError."""
    steps.require("debootstrap", "debootstrap")
    address, keyring = mirror(suite())
    include = "--include=" + ",".join(packages())
    options = ["--variant=minbase", include, *([f"--keyring={keyring}"] if keyring else [])]
    steps.run(f"base system {suite()}", ["debootstrap", *options, suite(), tree, address])
    for waste in _WASTE:
        shutil.rmtree(tree / waste, ignore_errors=True)
    traces = [tree / "etc/resolv.conf", tree / "etc/hostname", *(tree / "etc/apt").glob("sources.list*")]
    for of_this_machine in traces:
        cache.remove(of_this_machine)
    (tree / "var/log").mkdir()


def mirror(wanted: str, apt: Path = Path("/etc/apt")) -> tuple[str, str]:
    """The address and the keyring ("" if none is named) of the first apt source that serves the suite `wanted`."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file() and file.suffix in (".list", ".sources"):
            text = re.sub(r"(?m)^\s*#.*\n?", "", file.read_text())
            found = _deb822(text, wanted) if file.suffix == ".sources" else _one_line(text, wanted)
            if found:
                return found
    raise steps.StepError(
        f"base image: no apt source of this machine serves the suite {wanted!r}; add one, or set BASE"
    )


def _deb822(text: str, wanted: str) -> tuple[str, str] | None:
    for stanza in re.split(r"\n\s*\n", text):
        fields = {k.lower(): v.strip() for k, v in re.findall(r"(?m)^([\w-]+):[ \t]*(.*)$", stanza)}
        if "deb" in fields.get("types", "").split() and wanted in fields.get("suites", "").split():
            return fields["uris"].split()[0], _keyring(fields.get("signed-by", ""))
    return None


def _one_line(text: str, wanted: str) -> tuple[str, str] | None:
    for options, address, served in re.findall(r"(?m)^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)", text):
        if served == wanted:
            signed = re.search(r"signed-by=(\S+)", options)
            return address, _keyring(signed.group(1) if signed else "")
    return None


def _keyring(value: str) -> str:
    return value if value.startswith("/") else ""


def _distribution_python() -> str:
    """The minor version of the distribution's python3; the new base has the same suite and so the same one."""
    return steps.output(["/usr/bin/python3", "-c", "import sys; print(sys.version_info.minor)"])
