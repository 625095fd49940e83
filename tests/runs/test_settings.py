"""One record of options: what the command line, `NAS`, run.json and continuing make of it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from typer.main import get_command
from typer.testing import CliRunner

from foretell import NAS, cli
from foretell.cli.run import said
from foretell.errors import RunError, SettingError
from foretell.report import write as write_report
from foretell.runs import journal
from foretell.runs.folder import RunFolder
from foretell.runs.options import Flag, option
from foretell.runs.record import FORMAT, FREE, RunRecord, changed, upgrade
from foretell.runs.settings import (
    OPTIONS,
    SAVED,
    Settings,
    check,
    described,
    flags,
    from_flags,
    saved,
)
from foretell.typed import Reader

DATA = Path(__file__).parent / "data"
FORMAT_2 = json.loads((DATA / "format2" / "interrupted" / "run.json").read_text())
GIVEN = {  # of each option in run.json: what a user may say beside the default, and what is written
    "n_train": (7, 7),
    "top_k": (0, 0),
    "workers": (0, 0),
    "predictor": ("gcn", "gcn"),
    "seed": (3, 3),
    "compare_random": (False, False),
    "metric": ("val_f1", "val_f1"),
    "name": ("mine", "mine"),
    "limits": ("params=1k", {"params": 1000.0}),
    "minimize": (["params"], ["params"]),
    "latency": ({"fit": 20}, {"fit": 20}),
    "budget": (
        "trials=5,wall=1m",
        {"trials": 5, "epochs": None, "train_s": None, "wall_s": 60.0},
    ),
    "halving": ("asha", {"eta": 3, "min_epochs": 1, "kind": "asha"}),
    "replicates": (2, 2),
    "backend": ("ray", "ray"),
    "address": ("auto", "auto"),
    "resources": ({"num_gpus": 0.5}, {"num_gpus": 0.5}),
    "timeout_s": (60.0, 60.0),
    "memory_gb": (2.0, 2.0),
    "max_retries": (0, 0),
    "log": (("csv",), ["csv"]),
    "pretrained": ("timm:resnet18", "timm:resnet18"),
    "optuna": ("sqlite:///x.db", "sqlite:///x.db"),
}


def record(**options) -> RunRecord:
    """That of a run of format 2, with other options."""
    read = RunRecord.read(upgrade(FORMAT_2), Path("run.json"))
    return dataclasses.replace(read, options=dataclasses.replace(read.options, **options))


# -- one field, all that follows ------------------------------------------------------------------


def test_every_option_is_described_and_every_flag_has_one_line_of_its_own():
    assert all(one.doc.endswith(".") for one in OPTIONS.values())
    found = [flag for _, _, flag in flags()]
    assert len({flag.name for flag in found}) == len(found)
    assert all(flag.help and "\n" not in flag.help for flag in found)


def test_nas_has_the_options_as_its_parameters():
    names = [one.name for one in dataclasses.fields(Settings)]
    assert list(inspect.signature(NAS).parameters) == names
    assert set(NAS().get_params()) == set(names)
    assert all(f"        {name}: " in NAS.__doc__ for name in names)
    assert "{options}" not in NAS.__doc__
    assert repr(NAS(n_train=7)) == "NAS(n_train=7)"
    for name, (value, _) in GIVEN.items():
        nas = NAS(**{name: value})
        assert clone(nas).get_params() == nas.get_params()


def test_the_command_has_the_options_as_its_flags_with_the_same_defaults():
    command = get_command(cli.app).commands["run"]
    mine = {name for param in command.params for name in param.opts}
    assert {flag.name for _, _, flag in flags()} <= mine
    context = command.make_context("run", ["--data", "digits"])
    assert from_flags(said(context, context.params)) == {}, "what is not typed is not said"
    parsed = dict(context.params)
    assert parsed.pop("strategy") == OPTIONS["strategy"].new == "foresight"
    given = Settings(**from_flags(parsed))
    assert saved(given) == saved(Settings())
    for name in ("space", "epochs", "out"):
        assert getattr(given, name) == getattr(Settings(), name)
    assert "foresight" in CliRunner().invoke(cli.app, ["run", "--help"], terminal_width=200).output


def test_flags_are_read_into_options():
    text = (
        "--data digits --train 7 --set lr=0.1 --set amp=false --max params=1k --minimize flops, "
        "--halving asha --eta 2 --latency-fit 20 --resource num_gpus=0.5 --log csv --log mlflow"
    )
    context = get_command(cli.app).commands["run"].make_context("", text.split())
    given = from_flags(said(context, context.params))
    wanted = {
        "n_train": 7,
        "recipe": {"lr": 0.1, "amp": False},
        "limits": "params=1k",
        "minimize": ("flops",),
        "halving": {"kind": "asha", "eta": 2},
        "latency": {"fit": 20},
        "resources": {"num_gpus": 0.5},
        "log": ("csv", "mlflow"),
    }
    assert given == wanted


def test_a_new_field_is_all_that_a_new_option_needs():
    @dataclasses.dataclass
    class More:
        tag: str | None = option(None, "a word.", Flag("--tag"), saved=str | None, low=None)

    known = dataclasses.fields(More)[0].metadata["option"]
    assert (known.doc, known.flags[0].word, known.saved) == ("a word.", "tag", str | None)
    with pytest.raises(SettingError, match="rank"):
        dataclasses.replace(known, low=1).check("rank", 0)
    assert "tag" not in described()


# -- run.json -------------------------------------------------------------------------------------


def test_every_option_of_run_json_has_a_case_here():
    assert set(GIVEN) == set(SAVED)


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_written_is_read_again_and_is_checked_on_continuing(name, tmp_path):
    given, written = GIVEN[name]
    now = record(**{name: given}).to_dict()
    assert json.loads(json.dumps(now))[name] == written
    assert RunRecord.read(now, Path("run.json")).to_dict() == now
    folder = RunFolder(tmp_path)
    folder.settle(record().to_dict())
    if OPTIONS[name].free:
        assert folder.settle(now) is not None
    else:
        with pytest.raises(RunError, match=rf"another {name}"):
            folder.settle(now)


def test_an_option_that_came_after_the_run_is_at_its_default():
    now = record().to_dict()
    then = {key: value for key, value in now.items() if key not in ("halving", "n_train", "top_k")}
    assert set(changed(then, now)) == {"n_train", "top_k"}, "that run had others than the default"
    assert changed(then, record(n_train=24, top_k=5).to_dict()) == {}


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(sorted(record().to_dict())), value=st.integers(10**6, 10**7))
def test_a_change_is_refused_by_name_unless_it_is_free(key, value):
    now = record().to_dict()
    differ = changed(now, {**now, key: value})
    free = key in FREE or f"{key}.*" in FREE
    assert free or any(name.partition(".")[0] == key for name in differ)
    assert not (key in FREE and differ and not isinstance(now[key], dict))


# -- damaged files --------------------------------------------------------------------------------

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.just(10**400), st.just([]), st.just({}), st.just([[["x"]]]), st.just({"a": {"b": [None]}}),
)  # fmt: skip


def places(tree, path=()):
    """Paths to all values of an object."""
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_run_json_is_one_clear_line_for_a_run_and_less_in_a_report(data, tmp_path):
    raw = json.loads(json.dumps(FORMAT_2))
    hit = data.draw(st.lists(st.sampled_from(list(places(FORMAT_2))), min_size=1, max_size=3))
    for *path, last in hit:
        here = raw
        for word in path:
            here = here.get(word) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here[last] = copy.deepcopy(data.draw(leaves))  # what it holds may be hit next
    (tmp_path / "run.json").write_text(json.dumps(raw))
    lines: list[str] = []
    with told(lines):
        RunFolder(tmp_path).settle(record().to_dict())
    (tmp_path / "run.json").write_text(json.dumps(raw))
    with told(lines):
        found = RunRecord.read(RunFolder(tmp_path).settings(), tmp_path / "run.json", lines)
        saved(found.options)
    assert all("\n" not in line for line in lines)


@contextlib.contextmanager
def told(lines):
    """A RunError becomes a line; nothing else may be raised."""
    try:
        yield
    except RunError as error:
        lines.append(str(error))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"format": 2, "n_train": "24"}', ["run.json", "n_train", "a whole number", '"24"']),
        ('{"format": 2, "data": {"sizes": [1]}}', ["data.sizes", "an object", "[1]"]),
        ('{"format": 2, "space": null}', ["space", "an object", "nothing"]),
        ('{"format": 2, "recipe": {"epochs": 0}}', ["recipe", "epochs"]),
        ('{"format": 2, "top_k": -1}', ["top_k", "a whole number from 0", "-1"]),
        ('{"format": 2, "halving": {"rungs": 3}}', ["halving", "eta, min_epochs and kind"]),
        ('{"format": 3, "direction": "up"}', ["direction", "max or min"]),
        ('{"format": 2, "limits": {"params": "big"}}', ["limits.params", "a number", '"big"']),
        ('{"format": 2, "data": ' + '{"a":' * 5000 + "1" + "}" * 5001, ["run.json", "nested"]),
    ],
)
def test_what_is_wrong_is_named(text, words, tmp_path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError) as error:
        RunFolder(tmp_path).settle(record().to_dict())
    assert all(word in str(error.value) for word in words), error.value


def test_a_report_does_with_less_and_says_so(tmp_path):
    shutil.copytree(DATA / "format2" / "interrupted", tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(FORMAT_2 | {"data": 7, "recipe": {"epochs": "x"}, "command": 1}))
    text = write_report(path.parent).read_text()
    for part in ("data: expected an object", "recipe.epochs", "command"):
        assert f"run.json is damaged at {part}" in text


def test_unions_and_lists_are_read_by_their_first_type_that_fits():
    @dataclasses.dataclass
    class Kinds:
        a: int | str | None = None
        b: tuple[float | None, ...] = ()

    raw = {"a": "x", "b": [1, None]}
    assert Reader("f").record(Kinds, raw) == Kinds("x", (1.0, None))
    for wrong in ({"a": 1.5}, {"a": True}, {"b": ["1"]}, {"b": {}}, {"b": [float("nan")]}):
        with pytest.raises(RunError, match="f is damaged"):
            Reader("f").record(Kinds, wrong)


# -- older formats --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["interrupted", "halving"])
def test_a_run_of_format_2_is_reported_and_continued(name, tmp_path):
    shutil.copytree(DATA / "format2" / name, tmp_path / "run")
    path = tmp_path / "run" / "trials.jsonl"
    before = path.read_bytes()
    words = "unfinished" if name == "interrupted" else "No network has been trained yet."
    assert words in write_report(path.parent).read_text()
    assert path.read_bytes() == before
    asked = {"n_train": 4, "epochs": 2, "compare_random": True}
    if name == "halving":
        asked = {"n_train": 6, "epochs": 4, "halving": {"kind": "sync", "eta": 2}}
    nas = NAS(space="mobile", space_settings={"preset": "tiny"}, workers=0, top_k=2, **asked)
    with pytest.raises(RunError, match=r'another strategy\.name.* "neural-predictor", got "fore'):
        clone(nas).set_params(strategy="foresight", out=tmp_path / "run").fit("digits")
    with pytest.raises(RunError, match="another seed"):
        clone(nas).set_params(seed=1, out=tmp_path / "run").fit("digits")
    nas.set_params(out=tmp_path / "run").fit("digits")
    assert path.read_bytes().startswith(before)
    kept = "strategy.name neural-predictor (of a new run: foresight)"
    assert (tmp_path / "run" / "run.log").read_text().count(kept) == 1
    trials = [event for event in journal.read(path) if event["event"] == "trial"]
    n = asked["n_train"] + 2
    assert sorted(event["id"] for event in trials) == list(range(n + 2 * (name != "halving")))
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (written["format"], written["objective"]) == (FORMAT, "val_acc")


def test_the_defaults_are_sound():
    check(Settings())
