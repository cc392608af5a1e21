"""Which mirror the base system comes from: read out of apt's two kinds of source files."""

from pathlib import Path

import pytest
from imagery import base, steps

DEB822 = """\
# the distribution
Types: deb
# a snapshot
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
"""


@pytest.mark.parametrize(
    ("name", "text", "suite", "found"),
    [
        pytest.param(
            "d.sources",
            DEB822,
            "bookworm",
            ("http://mirror.example/debian", "/usr/share/keyrings/archive.gpg"),
            id="deb822",
        ),
        pytest.param(
            "d.sources", "Types: deb\nURIs: http://m/\nSuites: sid\n", "sid", ("http://m/", ""), id="without a keyring"
        ),
        pytest.param("d.list", "deb http://m/debian sid main\n", "sid", ("http://m/debian", ""), id="one line"),
        pytest.param(
            "d.list",
            "deb [arch=amd64 signed-by=/k.gpg] http://m/ sid main\n",
            "sid",
            ("http://m/", "/k.gpg"),
            id="one line with options",
        ),
    ],
)
def test_the_mirror_of_a_suite(tmp_path: Path, name: str, text: str, suite: str, found: tuple[str, str]) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)
    assert base.mirror(suite, tmp_path) == found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("d.sources", DEB822, id="a source of sources is no mirror"),
        pytest.param("d.list", "# deb http://m/ trixie main\n", id="a comment is no source"),
        pytest.param("d.disabled", "deb http://m/ trixie main\n", id="apt does not read this file either"),
    ],
)
def test_no_mirror_is_an_error_with_the_remedy(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)
    with pytest.raises(
        steps.StepError, match="no apt source of this machine serves the suite 'trixie'; add one, or set BASE"
    ):
        base.mirror("trixie", tmp_path)
