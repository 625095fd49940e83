"""The command line: parse, call, print.

One file a group of commands; `cli/parts.py` has the application and what several share.
Results go to stdout, progress and logs to stderr; wrong input ends with one clear line and exit
code 2; Ctrl-C is safe; the last line names a path and the next command.
"""

from __future__ import annotations

import sys
from importlib import import_module

from foretell import _console as console
from foretell.cli.parts import app
from foretell.errors import ForetellError

__all__ = ["app", "main"]

# in the order of --help
for _group in ("run", "supernet", "winner", "looking", "score", "estimate", "bench"):
    import_module(f"foretell.cli.{_group}")


def main() -> None:
    """Entry point: errors of foretell become one line and exit code 2, never a traceback."""
    try:
        app()
    except ForetellError as error:
        console.fail(str(error))
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    finally:
        if places := sys.modules.get("foretell.evaluators.parts.places"):
            places.leave()
