"""NAS-Bench-Graph, 301 and NLP, own tables, and what all have in common."""

from __future__ import annotations

import gzip
import json
import pickle
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

import foretell as ft
from foretell.errors import DataError, SettingError, UnknownNameError
from foretell.spaces.nb301 import CELLS, OPS
from foretell.tables import finding
from foretell.tables.convert import convert, read

# -- NAS-Bench-Graph ------------------------------------------------------------------------------

BEST = {  # validation and test, of the paper
    "cora": (0.8193, 0.8313),
    "arxiv": (0.7367, 0.7239),
    "proteins": (0.8533, 0.7926),
}


@pytest.mark.parametrize("name", BEST)
def test_installed_graph_tables(name):
    package = pytest.importorskip("nas_bench_graph.readbench")
    architecture = pytest.importorskip("nas_bench_graph.architecture")
    table = ft.Table.open(f"nb-graph:{name}")
    best = [round(float(table.column(c).max()), 4) for c in ("val_perf", "test_perf")]
    assert best == pytest.approx(BEST[name], abs=1e-4)
    # the package's own way to a value, for some rows
    theirs = package.light_read(name)
    assert len(table) == len(theirs) == (2_021 if name == "proteins" else 26_206)
    for i in range(0, len(table), len(table) // 50):
        text = table.space.to_str(table.X[i : i + 1])[0]
        links, _, words = text.partition(":")
        arch = architecture.Arch(list(map(int, links)), words.split(","))
        one = theirs[arch.hash_arch()]
        assert table.column("val_perf")[i] == one["valid_perf"]
        assert table.column("latency_s")[i] == one["latency"]


def test_names_of_installed_tables():
    pytest.importorskip("nas_bench_graph")
    assert len([name for name in finding.installed() if name.startswith("nb-graph:")]) == 9
    with pytest.raises(UnknownNameError, match="did you mean 'nb-graph:cora'"):
        ft.Table.open("nb-graph:coar")


def test_hashes_that_are_none(tmp_path):
    one = {"valid_perf": 0.5, "perf": 0.5, "latency": 1.0, "para": 1.0}
    for key in (99_999, 90_000, 88_888, 1_009, 3_210, -1):
        data = {0: one, key: one}
        path = tmp_path / "x.bench"
        path.write_bytes(pickle.dumps(data))
        with pytest.raises(DataError):
            read(path)


# -- NAS-Bench-301 --------------------------------------------------------------------------------

NB301 = ft.spaces.get("nb301")
OFFSET = {2: 0, 3: 2, 4: 5, 5: 9}


def result(row, val, seconds):
    sources, ops = NB301.cells(row[None])
    config = {}
    for c, cell in enumerate(CELLS):
        for k in range(8):
            node, source = 2 + k // 2, int(sources[0, c, k])
            edge = f"edge_{cell}_{OFFSET[node] + source}"
            config[f"NetworkSelectorDatasetInfo:darts:{edge}"] = OPS[ops[0, c, k]]
        for node in (3, 4, 5):
            pair = sources[0, c, 2 * node - 4 : 2 * node - 2]
            key = f"NetworkSelectorDatasetInfo:darts:inputs_node_{cell}_{node}"
            config[key] = "_".join(map(str, pair))
    return {
        "optimized_hyperparamater_config": config,
        "info": [{"val_accuracy": val}],
        "test_accuracy": val - 0.5,
        "runtime": seconds,
    }


@pytest.fixture(params=["folder", "zip"])
def results(request, tmp_path):
    X = NB301.sample(6, rng=0)
    files = {f"random/results_{i}.json": result(x, 90.0 + i, 100.0) for i, x in enumerate(X)}
    files["random/results_9.json"] = result(X[0], 94.0, 300.0)  # a second training of the first
    if request.param == "zip":
        path = tmp_path / "results.zip"
        with zipfile.ZipFile(path, "w") as packed:
            for name, value in files.items():
                packed.writestr(name, json.dumps(value))
        return X, path
    path = tmp_path / "results"
    (path / "random").mkdir(parents=True)
    for name, value in files.items():
        (path / name).write_text(json.dumps(value))
    return X, path


def test_nb301_results(results):
    X, path = results
    table = ft.Table.open(path)
    assert table.space.name == "nb301"
    assert table.query(X, "val_acc").tolist() == [92.0, 91.0, 92.0, 93.0, 94.0, 95.0]
    assert table.query(X[:1], "train_s").tolist() == [200.0]
    assert read(path, repeat=0).columns["val_acc"].values[0] == 90.0


def test_nb301_surrogates_are_refused_in_words(tmp_path):
    folder = tmp_path / "xgb_v1.0" / "member_0"
    folder.mkdir(parents=True)
    (folder / "surrogate_model.model").write_bytes(pickle.dumps({"a": 1}))
    (folder / "data_config.json").write_text("{}")
    for path in (tmp_path / "xgb_v1.0", folder / "surrogate_model.model"):
        with pytest.raises(DataError, match="surrogate") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_nb301_file_that_is_none(results):
    _, path = results
    if path.is_file():
        return
    one = json.loads((path / "random/results_3.json").read_text())
    one["optimized_hyperparamater_config"].popitem()
    one["optimized_hyperparamater_config"].popitem()
    (path / "random/results_3.json").write_text(json.dumps({**one, "info": []}))
    with pytest.raises(DataError, match=r"results_3\.json"):
        read(path)
    (path / "random/results_3.json").write_text('{"torn": ')
    with pytest.raises(DataError, match=r"results_3\.json is no JSON"):
        read(path)


# -- NAS-Bench-NLP --------------------------------------------------------------------------------

ELMAN = {
    "f": {"op": "linear", "input": ["x", "h_prev_0"]},
    "h_new_0": {"op": "activation_tanh", "input": ["f"]},
}
OTHER = {"h_new_0": {"op": "elementwise_sum", "input": ["x", "h_prev_0"]}}


def training(recipe, losses, status="OK", **more):
    return {
        "recepie": json.dumps(recipe),
        "status": status,
        "wall_times": [1.0] * len(losses),
        "num_params": 9,
        **{f"{split}_losses": losses for split in ("train", "val", "test")},
        **more,
    }


def test_official_logs(tmp_path):
    logs = [
        training(ELMAN, [5.0, 4.0, 3.0]),
        training(ELMAN, [5.0, 4.5, 4.0]),
        training(OTHER, [7.0], "loss is nan!"),
    ]
    for i, log in enumerate(logs):
        (tmp_path / f"log_stats_model_{i}_1_2.json").write_text(json.dumps(log))
    out = tmp_path / "out.parquet"
    found = convert(tmp_path, out)
    table = ft.Table.open(out)
    assert table.column("val_loss")[0] == 3.5
    assert table.column("val_score")[0] == 96.5
    assert np.isnan(table.column("val_loss")[1])
    assert table.column("train_s").tolist() == [3.0, 1.0]
    assert found.benchmark.notes == ("1 trainings diverged",)
    curve = table.curve("val_loss")
    np.testing.assert_array_equal(curve, [[5.0, 4.25, 3.5], [7.0, np.nan, np.nan]])
    with pytest.raises(DataError, match="no curve 'loss'"):
        table.curve("loss")
    assert list(table.curves) == ["train_loss", "val_loss", "test_loss"]
    copy = pickle.loads(pickle.dumps(table))  # as values: another process may not have the file
    np.testing.assert_array_equal(ft.Table.open(tmp_path).curve("val_loss"), copy.curve("val_loss"))


def test_published_nlp_curves(data_dir, tmp_path):
    path = data_dir / "nb_nlp_wikitext2.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    table = ft.Table.open(path)
    by_row: dict[int, list[float]] = {}
    space = table.space
    keys = space.row_key(space.from_str([json.dumps(line["recipe"]) for line in lines]))
    for key, line in zip(keys.tolist(), lines, strict=True):
        if line["status"] == "OK":
            by_row.setdefault(key, []).append(line["val_losses"][-1])
    want = [np.mean(by_row.get(key, [np.nan])) for key in space.row_key(table.X).tolist()]
    np.testing.assert_allclose(table.column("val_loss"), want)
    assert len(table) == len(set(keys.tolist()))


# -- own tables, and what all share ---------------------------------------------------------------

NB201 = ft.spaces.get("nb201")


def own(tmp_path, header="arch,val_acc,latency_ms,note", name="own.csv"):
    path = tmp_path / name
    strings = NB201.to_str(NB201.sample(5, rng=0))
    lines = [f"{s},{0.1 * i},{9 - i},word" for i, s in enumerate(strings)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_an_own_table_says_its_space_by_its_strings(tmp_path):
    found = convert(own(tmp_path), tmp_path / "t.parquet")
    assert found.benchmark.space == "nb201"
    assert found.benchmark.columns["val_acc"].unit == "fraction"
    metrics = {m["name"]: m for m in found.metrics()}
    assert metrics["val_acc"]["best"] == pytest.approx(0.4)
    assert metrics["latency_ms"]["best"] == 5.0
    table = ft.Table.open(tmp_path / "t.parquet")
    first = ft.Table.open(tmp_path / "own.csv", space=NB201)
    assert (table.X == first.X).all()
    assert table.column("val_acc").tolist() == first.column("val_acc").tolist()
    assert table.values("note").tolist() == ["word"] * 5
    assert (
        table.write(tmp_path / "again.csv").read_text()
        == first.write(tmp_path / "first.csv").read_text()
    )


def test_a_converted_table_goes_to_another_process_as_values(tmp_path):
    convert(own(tmp_path), tmp_path / "t.parquet")
    table = ft.Table.open(tmp_path / "t.parquet")
    copy = pickle.loads(pickle.dumps(table))
    unread = ft.Table.open(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").unlink()
    assert copy.query(table.X, "val_acc").tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert copy.columns == table.columns
    with pytest.raises(DataError, match="cannot read column 'val_acc'"):
        unread.column("val_acc")


def test_a_table_that_does_not_say_its_space(tmp_path):
    with pytest.raises(SettingError, match="does not say its space"):
        ft.Table.open(own(tmp_path))


def test_strings_of_no_space(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("arch,y\nmystery,1\n")
    with pytest.raises(DataError, match="--space"):
        read(path)
    space = ft.Space.from_choices({"a": [1, 2]}, build=print)
    path.write_text("arch,y\na=1,1\na=2,3\n")
    convert(path, tmp_path / "t.parquet", space=space)
    assert ft.Table.open(tmp_path / "t.parquet", space=space).column("y").tolist() == [1.0, 3.0]
    with pytest.raises(DataError, match="of space 'own'"):
        ft.Table.open(tmp_path / "t.parquet", space=NB201)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.bin", b"\x00" * 100),
        ("x.tfrecord", b"\x00" * 100),
        ("x.pth", b"PK\x03\x04 data.pkl and then nothing"),
        ("x.pickle.pbz2", b"BZh9 no"),
        ("x.json", b'{"a": 1}'),
        ("x.txt", b""),
        ("x.parquet", b"PAR1 no"),
        ("x.csv", b"a,b\n1,2\n"),
        ("x.zip", b"PK\x03\x04 no zip"),
        ("x.csv.gz", gzip.compress(b"hash,vertices,adjacency,labels,val_acc\n1,2\n", mtime=0)),
        ("x.csv.gz", gzip.compress(b"hash,vertices,adjacency,labels,val_acc\n" * 2, mtime=0)[:-9]),
        ("x.jsonl", b'{"recipe": {}, "val_losses": []}\n{"torn'),
    ],
)
def test_foreign_files_are_one_line_and_leave_nothing(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "out.parquet")
    text = str(caught.value)
    assert "\n" not in text
    assert name.split(".")[0] in text
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    out = tmp_path / "t.parquet"
    convert(own(tmp_path), out)
    before = out.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(DataError, match="No space left"):
        convert(tmp_path / "own.csv", out)
    assert out.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.csv", "t.parquet"]


def test_a_header_of_another_version_is_refused(tmp_path):
    out = tmp_path / "t.parquet"
    convert(own(tmp_path), out)
    table = pq.read_table(out)
    header = json.loads(table.schema.metadata[b"foretell"])
    assert header["space"] == "nb201"
    assert header["columns"]["val_acc"] == {"unit": "fraction", "better": "max"}
    for change in ({"format": 99}, {"settings": 3}):
        text = json.dumps({**header, **change}).encode()
        pq.write_table(table.replace_schema_metadata({b"foretell": text}), out)
        with pytest.raises(DataError, match="import it again"):
            ft.Table.open(out)
    keys = table["key"].to_numpy() + 1
    changed = table.set_column(table.schema.get_field_index("key"), "key", [keys])
    text = json.dumps(header).encode()
    pq.write_table(changed.replace_schema_metadata({b"foretell": text}), out)
    with pytest.raises(DataError, match="another version"):
        ft.Table.open(out)


def test_other_programs_read_the_table(tmp_path):
    found = convert(own(tmp_path), tmp_path / "t.parquet")
    frame = pq.read_table(tmp_path / "t.parquet").to_pydict()
    assert frame["arch"] == NB201.to_str(found.table.X)
    assert frame["val_acc"] == found.table.column("val_acc").tolist()
