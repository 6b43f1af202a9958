"""What the site takes from outside `docs`: linked pictures and scripts, two pages, commands' help.

And pages of shipped networks, which are made anew.

Pages link to files of the repository as GitHub reads them (`../figures/tasks.png`); what is linked
is taken along, and the links are bent.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
ELSEWHERE = {**PAGES, "README.md": "index.md"}
COMMANDS = "reference/commands.md"
LIVE = ("center-out", "ddn", "postural")  # whose best network of the zoo has a page
_LINK = re.compile(r"\]\(\.\./([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what comes from outside."""
    linked: set[str] = set()
    for page in Path(config.docs_dir).glob("*.md"):
        linked.update(_LINK.findall(page.read_text(encoding="utf-8")))
    for name in sorted(linked - set(ELSEWHERE)):
        if (ROOT / name).is_file():  # or else the strict build names the link
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for source, name in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, COMMANDS, content=_commands()))
    for name in LIVE:
        files.append(File.generated(config, f"live_{name}.html", content=_live(f"{name}/best")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Bend links of pages directly in `docs` to what was added."""
    if "/" in page.file.src_uri:
        return markdown
    return _LINK.sub(lambda link: f"]({ELSEWHERE.get(link[1], link[1])}", markdown)


@cache
def _live(name: str) -> str:
    """The page in which a network of the zoo can be pushed."""
    from neuromotor import load_controller
    from neuromotor.view import view

    saved = load_controller(name)
    if saved.task is None:
        raise RuntimeError(f"{name} has no task, so that there is no page of it")
    return view(saved.task, saved.controller, saved.parameters, title=name, shown=8).html


def _commands() -> str:
    """Every command's help, from the commands themselves."""
    command = [sys.executable, "-m", "typer", "neuromotor.cli.app", "utils", "docs"]
    options = ["--name", "neuromotor", "--title", "Commands"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the commands' help cannot be read:\n{done.stderr}")
    return done.stdout
