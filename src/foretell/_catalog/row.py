"""What a row of the catalog says of a component."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foretell.errors import need


@dataclass(frozen=True)
class Row:
    """One component: what it is called, where it lives, what it needs, where it comes from."""

    name: str
    target: str  # "module:Class", imported only when asked for
    summary: str
    reference: str = ""
    extra: str = ""  # the extra of pyproject.toml that brings `packages`
    packages: tuple[str, ...] = ()  # import names that must be present
    needs: frozenset[str] = frozenset()  # what a space must have, e.g. "costs"
    tags: frozenset[str] = frozenset()  # such as "std": it has an uncertainty
    aliases: tuple[str, ...] = ()  # other names under which it is found, but not listed
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)  # settings that make it
    # of a class that has other names too; whoever asks for it may change them
    quick: Mapping[str, Any] = field(default_factory=dict, hash=False)  # settings of contract tests
    learns: Mapping[str, Any] = field(default_factory=dict, hash=False)  # more: it must have learnt
    auto_from: int | None = None  # results with which `auto` compares it without being given time

    def load(self) -> Any:
        """Import and return the component's class, or say which extra is missing."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise need(package, self.extra, f"{self.name!r}")
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)
