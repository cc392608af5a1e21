"""docs/reference/conditions.md is what the planner's reasons say."""

import runpy

from cluster import ROOT


def test_the_conditions_reference_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "hack" / "generate_conditions_reference.py"))["page"]
    expected = page()
    found = (ROOT / "docs" / "reference" / "conditions.md").read_text(encoding="utf-8")
    assert found == expected, "run python hack/generate_conditions_reference.py"
