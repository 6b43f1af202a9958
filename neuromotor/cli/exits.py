"""How the command line ends: one line on stderr and a code that scripts can tell apart.

The code is 0 where all is done, 1 where the numbers failed, 2 for bad input, 70 for a defect of
neuromotor, 74 where the disk or the folder failed, and 130 or 143 after Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

from rich.text import Text

from neuromotor.cli.console import survive_encodings
from neuromotor.cli.display import messages
from neuromotor.runs.execute import Stopped

__all__ = ["run_and_exit"]

_NUMBERS, _INPUT, _DEFECT, _DISK, _CTRL_C = 1, 2, 70, 74, 130


def run_and_exit(command: Callable[[], object]) -> None:
    """Run a command; whatever it raises ends the process with one line and its code."""
    survive_encodings()
    warnings.formatwarning = _warning_line  # type: ignore[assignment]
    try:
        command()
    except Stopped as stop:
        way = f" Go on with `--resume {stop.folder}`." if stop.folder else ""
        messages.print(f"Interrupted.{way}", soft_wrap=True)
        sys.exit(128 + stop.signal)
    except KeyboardInterrupt:
        messages.print("Interrupted.")
        sys.exit(_CTRL_C)
    except (ValueError, OverflowError, FileExistsError) as error:  # settings and files among them
        _fail(error, _INPUT)
    except OSError as error:
        place = "" if error.filename is None else f": {error.filename}"
        what = f"{error.strerror or error}{place}"
        _fail(f"{what}; what was saved before is whole.", _DISK)
    except MemoryError:
        _fail("there is not enough memory; choose smaller sizes.", _NUMBERS)
    except (RuntimeError, ArithmeticError) as error:
        _fail(error, _NUMBERS)
    except Exception as error:
        with tempfile.NamedTemporaryFile(
            "w", prefix="neuromotor-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exc(file=file)
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        _fail(f"a defect of neuromotor ({what}); please report it with {file.name}.", _DEFECT)


def _warning_line(message: Warning | str, *place: object) -> str:
    """Return a warning as one line, without the place in the code that gave it."""
    return f"warning: {message}\n"


def _fail(message: object, code: int) -> NoReturn:
    """Print an error as one line, and end the process with a code."""
    text = str(message).encode("utf-8", "backslashreplace").decode()
    messages.print(Text.assemble(("error:", "bold red"), " ", text), soft_wrap=True)
    sys.exit(code)
