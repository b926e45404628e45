"""The README's Python runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_code_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "my_model" / "weights.safetensors").is_file()
    assert (tmp_path / "served" / "saved_model.pb").is_file()
    assert names["network"].output_shape == (None, 8)
    report = names["cvzoo"].compression_report(names["small"], names["model"])
    assert report.compression > 10
    assert "pixels" in [tensor.name for tensor in names["small"].inputs]
    assert capsys.readouterr().out
    served = re.search(
        r"```sh\n(python -c .*?)```", README.read_text("utf-8"), re.DOTALL
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command, environment = ["bash", "-c", served.group(1)], {**os.environ, "PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert "shape=(1, 10)" in done.stdout, done.stderr
