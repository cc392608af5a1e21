"""The page on the command line is what the typer application says."""

import importlib.util

from cluster import ROOT


def test_the_page_is_what_its_generator_writes() -> None:
    path = ROOT / "hack" / "generate_cli_reference.py"
    specification = importlib.util.spec_from_file_location("generate_cli_reference", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run `python hack/generate_cli_reference.py`"
