"""Errors: what was expected, what came, what to do next.

Every error of foretell is a `ForetellError` and also the builtin a caller would catch
(`ValueError`, `KeyError`, ...), so neither side has to know the other.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_BREAK = re.compile(r"\s*[\r\n]\s*")
_LOGIN = re.compile(r"(\w://[^/\s:@'\"]*):\S*@")  # a password may have any sign, / and @ too
_SECRET = re.compile(
    r"([?&;]\w*(?:pass(?:word|wd|phrase)?|pwd|token|secret|key)=)[^&;\s'\"]*", re.IGNORECASE
)


class ForetellError(Exception):
    """Base of all errors that foretell raises on purpose; one line, whatever it quotes.

    Args:
        message: what is wrong, naming the culprit, in one sentence without a full stop.
        expected: what would have been right.
        got: what came instead (value and shape).
        hint: the next step for the user.

    >>> print(ForetellError("bad width", expected="1 to 8", got=9, hint="lower it"))
    bad width: expected 1 to 8, got 9. Next: lower it
    >>> print(ForetellError("no network", got="Missing keys:\\n\\tweight, bias"))
    no network: got Missing keys: weight, bias
    """

    def __init__(
        self, message: str, *, expected: object = None, got: object = None, hint: str | None = None
    ) -> None:
        parts = []
        if expected is not None:
            parts.append(f"expected {expected}")
        if got is not None:
            parts.append(f"got {got}")
        text = message + (": " + ", ".join(parts) if parts else "")
        self.text = _BREAK.sub(" ", text + (f". Next: {hint}" if hint else "")).strip()
        super().__init__(self.text)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.text))


def _rebuild(kind: type[ForetellError], text: str) -> ForetellError:
    return kind(text)


class SpaceError(ForetellError, ValueError):
    """An architecture, or the definition of a space, is not valid."""


class DataError(ForetellError, ValueError):
    """Data, labels or a file's content are not what was expected."""


class SettingError(ForetellError, ValueError):
    """A setting (argument, option, recipe field) is not valid."""


class UnknownNameError(ForetellError, ValueError):
    """A name that the catalog does not know."""


class UnknownArchitectureError(ForetellError, KeyError):
    """An architecture that a table does not hold."""


class NoUncertaintyError(ForetellError, TypeError):
    """`return_std=True` on a predictor whose method has no uncertainty."""


class MissingExtraError(ForetellError, ImportError):
    """An optional dependency is not installed; the message has the pip line."""


class RunError(ForetellError, RuntimeError):
    """A run folder cannot be created, continued or read."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for an unknown `name` of a `kind`, with the nearest known names as a hint.

    >>> print(unknown_name("space", "nb200", ["nb101", "nb201"]))
    unknown space 'nb200': expected one of nb101, nb201. Next: did you mean 'nb201'?
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return UnknownNameError(
        f"unknown {kind} {name!r}",
        expected="one of " + ", ".join(names),
        hint=f"did you mean {near[0]!r}?" if near else f"see `foretell list {plural(kind)}`",
    )


def plural(kind: str) -> str:
    """Several of a kind.

    >>> plural("space"), plural("strategy")
    ('spaces', 'strategies')
    """
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"


def need(module: str, extra: str, what: str) -> MissingExtraError:
    """The error for an optional `module` that is absent, with the exact pip line."""
    return MissingExtraError(
        f"{what} needs the package {module!r}, which is not installed",
        hint=f"pip install 'foretell[{extra}]'",
    )


def without_password(text: str) -> str:
    """A text with the passwords of its URLs left out, before the host and among parameters.

    >>> without_password("--optuna postgresql://me:secret@host:5432/db")
    '--optuna postgresql://me:***@host:5432/db'
    >>> without_password("mysql://host/db?user=me&password=secret&ssl=1")
    'mysql://host/db?user=me&password=***&ssl=1'
    """
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1:***@", text))
