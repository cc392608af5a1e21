"""Content keys, and products that appear whole or not at all."""

import os
import threading
from pathlib import Path

import pytest
from imagery import cache


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root() == tmp_path / "assay"


def test_the_boundaries_of_parts_count() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        pytest.param(lambda at: write(at / "a", "y"), True, id="a file's content"),
        pytest.param(lambda at: (at / "a").rename(at / "b"), True, id="a file's name"),
        pytest.param(lambda at: (at / "a").chmod(0o755), True, id="its run bit"),
        pytest.param(lambda at: write(at / "sub/c"), True, id="one more file"),
        pytest.param(lambda at: write(at / "__pycache__/a.pyc"), False, id="compiled files do not count"),
    ],
)
def test_a_trees_key(tmp_path: Path, change: object, differs: bool) -> None:
    write(tmp_path / "tree/a")
    before = cache.tree_key([tmp_path / "tree"], tmp_path)
    change(tmp_path / "tree")  # type: ignore[operator]
    assert (cache.tree_key([tmp_path / "tree"], tmp_path) != before) is differs


def test_a_product_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []
    for _ in range(2):
        assert cache.product(tmp_path / "p", lambda draft: made.append(write(draft))).read_text() == "x"
    assert len(made) == 1


def test_an_interrupted_product_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        write(draft / "half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.product(tmp_path / "p", fail)
    assert not (tmp_path / "p").exists()
    cache.product(tmp_path / "p", lambda draft: write(draft / "whole"))
    assert [each.name for each in (tmp_path / "p").iterdir()] == ["whole"]


def test_two_processes_that_want_a_product_make_it_once(tmp_path: Path) -> None:
    inside, made = threading.Barrier(2), []

    def want() -> None:
        inside.wait()
        cache.product(tmp_path / "p", lambda draft: made.append(write(draft)))

    threads = [threading.Thread(target=want) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(made) == 1


def test_old_versions_go_and_the_current_one_stays(tmp_path: Path) -> None:
    versions = [cache.product(tmp_path / str(age), lambda draft: write(draft / "x") and None) for age in range(5)]
    for age, version in enumerate(versions):
        os.utime(version, (age, age))
    cache.keep_newest(iter(versions), versions[0])
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix != ".lock") == ["0", "2", "3", "4"]
