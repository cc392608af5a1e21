"""Pages hang together: links lead somewhere, every page is in the index, and lists of words are the code's."""

from pathlib import Path

import pytest

from assay.scoring.examination import GIVEN_UP, NO_ADDRESS
from assay.scoring.reference import Cause
from assay.scoring.runner import ASSIGNMENT_INVALID, SCORER_FAILED, TOO_LATE
from assay.triton import Reason
from assay.verification import Flaw, Metric
from cluster import ROOT
from documents import PAGES, anchors, links, name_of

DOCS = ROOT / "docs"
SCORING = (DOCS / "concepts" / "scoring.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_a_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_of_guide_and_concepts_is_in_the_index() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    pages = {page for folder in ("guide", "concepts", "reference") for page in (DOCS / folder).glob("*.md")}
    assert pages <= linked


@pytest.mark.parametrize(
    "word", [*Cause, ASSIGNMENT_INVALID, SCORER_FAILED, TOO_LATE, *Reason, *Flaw, NO_ADDRESS, GIVEN_UP, *Metric]
)
def test_the_page_on_scoring_has_every_word_that_a_scorer_uses(word: str) -> None:
    assert f"`{word}`" in SCORING
