"""Lines of `slow.txt` name tests that are there."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def test_each_line_names_a_test() -> None:
    for line in (HERE / "slow.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            file, _, name = line.partition("::")
            code = (HERE.parent / file).read_text()
            assert f"def {name.partition('[')[0]}(" in code, f"slow.txt names no test: {line}"
