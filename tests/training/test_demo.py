"""The path of `make demo` on a tiny setting."""

import json

from training import demo

KEYS = [
    *("preset", "test_accuracy_pretrained", "test_accuracy", "parameters", "nonzero"),
    *("compression", "bytes_weights", "bytes_preset", "bytes_dense_keras"),
    *("savedmodel_max_abs_error", "seconds", "baselines"),
]


def test_the_demo_runs_from_data_to_serving(tmp_path, capsys, monkeypatch):
    # The rows have tests of their own; a few are enough here.
    monkeypatch.setattr(demo, "STRENGTHS", (0.1,))
    monkeypatch.setattr(demo, "METHODS", {})
    rows = [("linear",), ("constant_prior",), ("small_real",)]
    monkeypatch.setattr(demo, "baseline_jobs", lambda: rows)
    assert demo.main(["--quicktest", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report) == KEYS
    assert report["savedmodel_max_abs_error"] <= 1e-5
    folder = tmp_path / "fold0" / "preset"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert report["preset"] == str(folder)
    assert report["bytes_weights"] == sizes["weights.safetensors"]
    assert report["bytes_preset"] == sum(sizes.values())
    names = {row["name"] for row in report["baselines"]}
    assert {
        "uncompressed",
        "C-VD 0.1",
        "constant prior",
    } <= names
    assert (tmp_path / "tradeoff.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "saved_model" / "saved_model.pb").is_file()
    assert "imports tensorflow only" in " ".join(capsys.readouterr().out.split())
