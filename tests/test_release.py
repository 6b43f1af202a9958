"""The places that name a version agree: package, CITATION.cff, CHANGELOG.md."""

import re
from pathlib import Path

import neuromotor

ROOT = Path(__file__).parents[1]


def test_citation_and_changelog_agree_with_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    dated = re.search(r"^date-released: (\S+)$", citation, re.MULTILINE)
    releases = dict(re.findall(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE))
    assert cited is not None
    assert cited[1] == neuromotor.__version__
    assert releases.get(cited[1]) == (dated and dated[1])
