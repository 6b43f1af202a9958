"""Every command and every block of Python on the tutorial and the guides runs as it stands."""

import re

import docs_blocks
import matplotlib as mpl
import pytest
from docs_blocks import DOCS, ROOT, commands, run_page

EXTRAS = {
    "howto_analyse.md": "sklearn",
    "howto_rl.md": "stable_baselines3",
    "rl_quickstart.md": "stable_baselines3",
}
PAGES = [
    *("index.md", "tutorial.md", "five_questions.md", "howto_reproduce.md", "extend.md"),
    *EXTRAS,
]


@pytest.mark.parametrize(
    "name", [PAGES[0], *(pytest.param(p, marks=pytest.mark.slow) for p in PAGES[1:])]
)
def test_a_page_runs_at_smoke_size(name, tmp_path):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    mpl.use("Agg")
    text = run_page(DOCS / name, tmp_path, smoke=True)
    blocks = re.findall(r"(?m)^```", text)
    assert len(blocks) == len(re.findall(r"(?m)^```", (DOCS / name).read_text()))


@pytest.mark.parametrize("name", PAGES)
def test_nothing_on_a_page_escapes_the_runner(name):
    """No indented commands, no other kinds of blocks, and every image is there."""
    text = (DOCS / name).read_text()
    kinds = re.findall(r"(?ms)^```(\S*).*?^```$", text)
    assert set(kinds) <= {"console", "python", "toml", "text", "bash"}, kinds
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    assert not re.search(r"(?m)^ {4}(neuromotor|python) ", prose)
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (DOCS / image).is_file(), image


def test_a_page_is_refreshed(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        '```toml title="a.toml"\nseed = 1\nbudget = 900\n```\n\n'
        "```console\n$ cat \\\n    a.toml\nold\n"
        "```\n\n```python\nx = 1 + 1\nprint(x)\n```\n\n```text\n3\n```\n\n"
        "```python\nprint(x + 1)\n```\n\nEnd.\n"
    )
    (tmp_path / "work").mkdir()
    text = run_page(page, tmp_path / "work", smoke=True)
    assert text.count("old") == 0
    assert "$ cat \\\n    a.toml\nseed = 1\nbudget = 12\n```" in text
    assert "```text\n2\n```" in text
    assert text.endswith("End.\n")
    assert commands("$ a \\\n  b\nout\n$ c\n") == ["a b", "c"]
    with pytest.raises(ValueError, match="cannot be run"):
        docs_blocks.run_command("rm -r x", tmp_path)


def test_the_files_on_the_page_of_extensions_are_those_of_the_example():
    text = (DOCS / "extend.md").read_text()
    files = re.findall(r'(?ms)^```\w+ title="((?:my_lab/|pyproject)[^"]+)"\n(.*?)^```$', text)
    assert len(files) == 9
    for name, body in files:
        assert body == (ROOT / "examples/extend" / name).read_text(), name


def test_links_between_pages_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            target = (DOCS / link).resolve()
            generated = link in ("changelog.md", "contributing.md")
            assert target.exists() or generated, f"{page.name}: {link}"
            assert target.is_relative_to(ROOT)
