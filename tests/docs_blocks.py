"""The code on a page of `docs`: run as a reader would, in order; its output written into the page.

    python tests/docs_blocks.py docs/tutorial.md ...    # run at full size, refresh what is shown

- ```console: lines with "$ " are commands (`\\` goes on), the rest is what they print on stdout.
- ```python: run in one scope a page; a ```text block right behind it is what it prints.
- ```python and ```toml with a title: a file of that name in the page's working folder.
- An image after `<!-- PATH -->` is that file of the page's working folder.

At smoke size the numbers of `SMOKE` take the place of the page's, and outputs are not compared.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COMMAND = str(Path(sys.executable).parent / "neuromotor")
SMOKE = (
    (r"--budget \d+", "--budget 12"),
    (r"--seeds \d+", "--seeds 2"),
    (r"--surrogates \d+", "--surrogates 2"),
    (r"(?m)^budget = \d+", "budget = 12"),
    (r"calls=\d+", "calls=12"),
    (r"surrogates=\d+", "surrogates=2"),
    (r"\d00_000", "32 * 160"),
)
_BLOCK = re.compile(
    r"```(?P<kind>console|python|toml)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)```\n"
    r"(?:\n```text\n(?P<shown>.*?)```\n)?|<!-- (?P<file>\S+) -->\n!\[[^\]]*\]\((?P<image>[^)]+)\)",
    re.DOTALL,
)


def at_smoke_size(code: str) -> str:
    """The same code with small numbers."""
    for pattern, small in SMOKE:
        code = re.sub(pattern, small, code)
    return code


def commands(body: str) -> list[str]:
    """The commands of a console block."""
    joined = re.sub(r"\\\n\s*", "", body)
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def run_command(command: str, folder: Path) -> str:
    """What a command prints; `neuromotor` is that of this environment."""
    words = shlex.split(command, comments=True)
    programs = {"neuromotor": COMMAND, "python": sys.executable, "cat": "cat", "ls": "ls"}
    if words[0] not in programs:
        raise ValueError(f"{command!r} cannot be run here.")
    words[0] = programs[words[0]]
    environment = {**os.environ, "COLUMNS": "100", "MPLBACKEND": "Agg"}
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stdout}{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def run_page(page: Path, folder: Path, *, smoke: bool) -> str:
    """Run a page in an empty folder and return its text with what was printed."""
    scope: dict[str, object] = {}
    resize = at_smoke_size if smoke else str

    def run(block: re.Match[str]) -> str:
        whole = block.group()
        if block["image"]:
            shutil.copyfile(folder / block["file"], folder / f"shown-{block['image']}")
            return whole
        body = block["body"]
        if block["title"]:
            file = folder / block["title"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body if block["kind"] == "python" else resize(body))
        elif block["kind"] == "console":
            lines = []
            for command, written in zip(commands(body), _written(body), strict=True):
                lines.append(written + run_command(resize(command), folder))
            return whole.replace(body, "".join(lines))
        else:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.chdir(folder):
                exec(compile(resize(body), page.name, "exec"), scope)
            if block["shown"] is not None:
                return whole.replace(f"```text\n{block['shown']}", f"```text\n{printed.getvalue()}")
        return whole

    return _BLOCK.sub(run, page.read_text(encoding="utf-8"))


def _written(body: str) -> list[str]:
    """The commands of a console block as they stand there, their line breaks kept."""
    return re.findall(r"(?m)^\$ (?:.*\\\n)*.*\n", body)


def main() -> None:
    """Refresh the pages named, and their images."""
    for name in sys.argv[1:]:
        page = Path(name).resolve()
        with tempfile.TemporaryDirectory() as scratch:
            text = run_page(page, Path(scratch), smoke=False)
            for image in Path(scratch).glob("shown-*"):
                shutil.copyfile(image, page.parent / image.name.removeprefix("shown-"))
        page.write_text(text, encoding="utf-8")
        print(f"{name}: refreshed")


if __name__ == "__main__":
    main()
