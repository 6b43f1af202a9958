"""The figures of the reproduction. This subpackage imports matplotlib; nothing imports it early."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from neuromotor.plotting import STYLE, save_figures
from neuromotor.reproduction.figures.center_out import draw_convergence, draw_reaches
from neuromotor.reproduction.figures.ddn import draw_ddn_reaches, draw_robustness
from neuromotor.reproduction.figures.film import NEEDS as FILM_NEEDS
from neuromotor.reproduction.figures.film import save_film
from neuromotor.reproduction.figures.hidden import NEEDS as HIDDEN_NEEDS
from neuromotor.reproduction.figures.hidden import draw_hidden
from neuromotor.reproduction.figures.postural import draw_loads, draw_postures
from neuromotor.reproduction.figures.speed import draw_speed
from neuromotor.reproduction.networks import Networks

__all__ = ["FIGURES", "FILM", "FigureEntry", "needs", "script", "write_figure"]


@dataclass(frozen=True)
class FigureEntry:
    """A figure: how it is drawn, and which networks it needs."""

    draw: Callable[..., Figure]
    needs: tuple[str, ...]


FIGURES = {
    "fig6_1": FigureEntry(draw_reaches, ("center-out/ahf", "center-out/best", "center-out/lbfgs")),
    "fig6_2": FigureEntry(draw_convergence, ()),
    "fig6_3": FigureEntry(draw_postures, ("postural/best", "postural/lbfgs")),
    "fig6_4": FigureEntry(draw_robustness, ("ddn-robust/best", "ddn/ahf", "ddn-delay/best")),
    "fig6_5": FigureEntry(draw_ddn_reaches, ("ddn/ahf", "ddn/best", "ddn/lbfgs")),
    "fig7": FigureEntry(draw_loads, ("postural/best",)),
    "fig8": FigureEntry(draw_hidden, HIDDEN_NEEDS),
    "fig9": FigureEntry(draw_speed, ()),
}


FILM = "animation"


def needs(name: str) -> tuple[str, ...]:
    """Return the networks that a figure, or the animation, is drawn from."""
    return FILM_NEEDS if name == FILM else FIGURES[name].needs


def write_figure(name: str, networks: Networks, out: Path, *, smoke: bool = False) -> list[Path]:
    """Draw a figure into a folder, as PNG and PDF, or the animation as GIF; return the files.

    Args:
        name: Of `FIGURES`, or `FILM`.
        networks: Where trained networks come from.
        out: The folder.
        smoke: Whether a tiny version is enough.

    Raises:
        ValueError: A network is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        if name == FILM:
            save_film(networks, out / f"{name}.gif", smoke=smoke)
            return [out / f"{name}.gif"]
        return save_figures({name: FIGURES[name].draw(networks, smoke=smoke)}, out)


def script(file: str, description: str) -> None:
    """Be the command line of a script of this figure's name: write it beside the script.

    Args:
        file: The script.
        description: What `--help` says.
    """
    mpl.use("Agg")
    own = Path(file)
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--out", type=Path, default=own.parent, help="folder to write into")
    parser.add_argument("--networks", type=Path, help="run folders instead of the zoo")
    parser.add_argument("--smoke", action="store_true", help="a tiny version, within a minute")
    arguments = parser.parse_args()
    networks = Networks(arguments.networks, untrained=arguments.smoke)
    for path in write_figure(own.stem, networks, arguments.out, smoke=arguments.smoke):
        print(path)
