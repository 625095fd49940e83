"""README and docs: every command and every Python block runs, from the built wheel.

Each file gets an empty folder with some own data in it (`photos/`, `measurements.csv`,
`results.csv`, `new.png`). Blocks run in their order: `console` lines that begin with `$ `, and
`python` blocks, all of one file in one namespace. A `python title="my_space.py"` block is also
written to that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits

import foretell as ft
from foretell import _catalog

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
# nothing to run: the reasons for what was chosen
PROSE = [page for page in PAGES if page.parent.name == "decisions"]
FENCE = re.compile(r"^```(python|console)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# what the reader does to get here: this very test run is the proof of them
OUTSIDE = ("git clone", "cd foretell", "make ", "pip install")


@pytest.fixture(scope="session")
def wheel_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the built wheel, and our dependencies from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("foretell-*.whl")
    assert wheel.stat().st_size < 5e6
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # a plain path: the editable install of the tests is not followed from there
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    where = [str(python), "-c", "import foretell; print(foretell.__file__)"]
    assert str(site) in subprocess.run(where, check=True, capture_output=True, text=True).stdout
    return python


def own_data(folder: Path) -> None:
    digits = load_digits()
    images = (digits.images * 15.9).astype(np.uint8)
    for i in range(150):
        if digits.target[i] < 3:
            target = folder / "photos" / f"class_{digits.target[i]}"
            target.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i]).save(target / f"{i}.png")
    Image.fromarray(images[0]).save(folder / "new.png")
    X, y = load_diabetes(return_X_y=True, scaled=False)
    table = np.column_stack([X, y])[:120]
    header = "age,sex,bmi,pressure,s1,s2,s3,s4,s5,s6,progression"
    np.savetxt(folder / "measurements.csv", table, "%g", ",", header=header, comments="")
    space = ft.spaces.get("nb201")
    rows = space.sample(400, rng=0)
    score = 70 + 5 * (rows == 3).sum(1) + 2 * (rows == 2).sum(1) - 3 * (rows == 0).sum(1)
    lines = [f"{arch},{value}" for arch, value in zip(space.to_str(rows), score, strict=True)]
    (folder / "results.csv").write_text("arch,val_acc\n" + "\n".join(dict.fromkeys(lines)) + "\n")


def ids(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def test_only_reasons_have_nothing_to_run() -> None:
    assert [page for page in PAGES if not FENCE.search(page.read_text())] == PROSE


RUN = [page for page in PAGES if page not in PROSE]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[] if p.name == "README.md" else [pytest.mark.slow]) for p in RUN],
    ids=ids(RUN),
)
def test_blocks_run(page: Path, wheel_python: Path, tmp_path: Path) -> None:
    blocks = FENCE.findall(page.read_text())
    own_data(tmp_path)
    env = {**os.environ, "PATH": f"{wheel_python.parent}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    code = ""
    for language, options, body in blocks:
        if language == "console":
            for command in re.findall(r"^\$ (.+(?:\\\n.+)*)", body, re.MULTILINE):
                if not command.startswith(OUTSIDE):
                    run(["bash", "-c", command], tmp_path, env)
            continue
        title = re.search(r'title="(\S+)"', options)
        if title:
            (tmp_path / title[1]).write_text(body)
        code += body + "\n"
    if code:
        (tmp_path / "page.py").write_text(guarded(code))
        run([str(wheel_python), "page.py"], tmp_path, env)


def test_readme_counts_what_the_catalog_has() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    found = re.search(r"(\d+) predictors of published methods and (\d+) baselines", text)
    assert found, "README says how many predictors there are"
    baselines = sum("baseline" in row.tags for row in _catalog.KINDS["predictor"])
    assert found.groups() == (str(len(_catalog.KINDS["predictor"]) - baselines), str(baselines))
    assert all(row.reference for row in _catalog.KINDS["predictor"] if "baseline" not in row.tags)


@pytest.mark.slow
def test_the_files_of_a_run_are_those_of_its_page(tmp_path: Path) -> None:
    digits = load_digits()
    ft.NAS(
        space="mobile",
        space_settings={"preset": "tiny"},
        predictor="n-params",
        n_train=5,
        top_k=1,
        epochs=1,
        minimize=("params",),
        log=("csv",),
        out=tmp_path / "run",
    ).fit((digits.images[:100, None] / 16, digits.target[:100]))
    page = (ROOT / "docs" / "runs.md").read_text()
    table = page[page.index("| file |") :].partition("\n\n")[0]
    named = {name for name in re.findall(r"`([^`]+)`", table) if not name.startswith("--")}
    made = (p for p in (tmp_path / "run").iterdir() if not p.name.startswith("."))
    files = {p.name + "/" * p.is_dir() for p in made}
    inside = {p.name for p in (tmp_path / "run" / "best").iterdir()}
    # the one is gone when a run is done, the other there where a predictor asks evidence
    assert named == files | inside | {"checkpoints/", "evidence/"}


def guarded(code: str) -> str:
    """Worker processes import the main module, so its statements run under the usual guard."""
    return (
        "def main():\n"
        + re.sub(r"^(?=.)", "    ", code, flags=re.MULTILINE)
        + ("\n\nif __name__ == '__main__':\n    main()\n")
    )


def run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
