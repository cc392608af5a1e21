"""Draw the dashboards from the running demo into docs/images: `make dashboard-pictures`.

A Prometheus is started beside the demo for as long as it takes (MINUTES, 6 unless told), then every panel's query is
asked once. With PROMETHEUS=URL one that runs already is asked.
"""

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from cluster import LocalCluster  # noqa: E402 - lies where the tests' support is
from dashboards.picture import picture  # noqa: E402
from demo_prometheus import BOARDS, scraping, series, values_of  # noqa: E402
from grafana import Query  # noqa: E402
from prometheus import Server  # noqa: E402

FOLDER = ROOT / "docs" / "images"


def main() -> None:
    """Collect, ask and draw."""
    window_s = 60 * float(os.environ.get("MINUTES", "6"))
    with ExitStack() as stack:
        if url := os.environ.get("PROMETHEUS"):
            server = Server(url)
        else:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(scraping(LocalCluster("dev", "node"), scratch))
            print(f"collecting for {window_s:.0f} s")
            time.sleep(window_s)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, board in BOARDS.items():
            values = values_of(server, board)

            def answer(target: dict[str, Any], values: dict[str, str] = values) -> list[dict[str, Any]]:
                query = Query("", target["refId"], target["expr"], bool(target.get("instant")))
                return series(server, query, values, window_s)

            (FOLDER / f"dashboard-{name}.svg").write_text(picture(board, answer), encoding="utf-8")


if __name__ == "__main__":
    main()
