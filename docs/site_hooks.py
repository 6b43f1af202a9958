"""What the site takes from outside `docs`: pictures, two files of the root, the commands' help.

Pages link to figures and examples as GitHub reads them (`../figures/tasks.png`); here these links
are bent.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PICTURES = ("figures", "examples")
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
COMMANDS = "reference/commands.md"
COMING = {"runs.md", "scale.md", "reproduction.md"}  # in the navigation as soon as they exist


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave pages out of the navigation that are still to be written."""
    missing = {name for name in COMING if not (Path(config.docs_dir) / name).exists()}

    def kept(items: list[Any]) -> list[Any]:
        found = []
        for item in items:
            if isinstance(item, dict):
                ((title, target),) = item.items()
                if isinstance(target, list):
                    item = {title: kept(target)}
                elif target in missing:
                    continue
            found.append(item)
        return found

    config.nav = kept(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pictures and pages from outside."""
    for folder in PICTURES:
        for suffix in ("png", "gif", "mp4", "py"):
            for path in sorted((ROOT / folder).glob(f"*.{suffix}")):
                name = f"{folder}/{path.name}"
                files.append(File.generated(config, name, abs_src_path=str(path)))
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    files.append(File.generated(config, COMMANDS, content=_commands()))
    return files


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


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Bend links to what was added; all pages with such links lie directly in `docs`."""
    return re.sub(rf"\]\(\.\./({'|'.join(PICTURES)})/", r"](\1/", markdown)
