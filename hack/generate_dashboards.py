"""Write charts/assay/dashboards/*.json from hack/dashboards.

Run it by hand or by `make generate`: `python hack/generate_dashboards.py`. A unit test fails when a file is stale.
"""

from pathlib import Path

from dashboards import operator, serving, subnet

FOLDER = Path(__file__).resolve().parents[1] / "charts" / "assay" / "dashboards"


def files() -> dict[str, str]:
    """Return the dashboards' JSON by file name."""
    return {
        f"{board.uid.removeprefix('assay-')}.json": board.json()
        for board in (subnet.BOARD, serving.BOARD, operator.BOARD)
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
