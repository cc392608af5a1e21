"""The reference page is rendered from the models."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_what_the_generator_writes() -> None:
    script = ROOT / "hack" / "generate_api_reference.py"
    specification = importlib.util.spec_from_file_location("generate_api_reference", script)
    assert specification is not None
    assert specification.loader is not None
    generator = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generator)
    assert generator.PAGE.read_text(encoding="utf-8") == generator.page(), f"run `python {script.relative_to(ROOT)}`"
