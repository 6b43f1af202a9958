"""A page in which one pushes the limb of a trained controller and watches its network.

`description.py` collects the numbers, `translate.py` turns the physics and the cells into
JavaScript, `engine.js` runs the closed loop, and `page.py` puts all into one file: after the engine
`clock.js`, which steps it, `drawing.js`, `world.js`, which has the sliders, and `page.js`.
"""

from neuromotor.view.description import ViewError, describe
from neuromotor.view.page import Page, view
from neuromotor.view.translate import UntranslatableError, translated

__all__ = ["Page", "UntranslatableError", "ViewError", "describe", "translated", "view"]
