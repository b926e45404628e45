"""Workers started on this machine: their output, their end, and no orphans."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training import launch

ROOT = Path(__file__).parent.parent.parent
# What the workers run is written to a folder, as a module of a name of its own.
WORKER = "a_worker_of_the_tests"
SLEEPER = """
import json, os, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
print("process", os.getpid(), flush=True)
"""


def start(folder, code, workers=2):
    (folder / f"{WORKER}.py").write_text(SLEEPER + code)
    command = [sys.executable, "-m", "training.launch", "--local", str(workers)]
    return subprocess.Popen(
        [*command, "--module", WORKER, "first", "--second"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a shell ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def is_running(process_id):
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return state[0] != "Z"


def wait_until_gone(ids):
    deadline = time.monotonic() + 20
    while any(is_running(one) for one in ids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [one for one in ids if is_running(one)]


def test_workers_get_addresses_and_arguments_and_their_output_a_number(tmp_path):
    code = "print(sys.argv[1:], os.environ['TF_CONFIG'])\n"
    out, err = start(tmp_path, code).communicate(timeout=30)
    assert err == ""
    for index in (0, 1):
        (line,) = re.findall(rf"^\[{index}\] \['first'.*$", out, re.MULTILINE)
        assert "['first', '--second']" in line
        ports = re.findall(r"127\.0\.0\.1:(\d+)", line)
        assert len(set(ports)) == 2
        assert f'"index": {index}' in line


def test_a_worker_that_fails_ends_the_others_and_gives_its_status(tmp_path):
    code = "if index == 1: sys.exit(3)\ntime.sleep(600)\n"
    launcher = start(tmp_path, code)
    out, err = launcher.communicate(timeout=30)
    assert launcher.returncode == 3
    assert re.search(r"worker 1 \(process \d+\) ended with status 3; the others", err)
    ids = [int(one) for one in re.findall(r"process (\d+)", out)]
    assert wait_until_gone(ids) == []


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells of a parent's end"
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_launcher(how, tmp_path):
    # They ignore what they can.
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    launcher = start(tmp_path, code)
    lines = [launcher.stdout.readline() for _ in range(4)]
    ids = [int(one) for one in re.findall(r"process (\d+)", "".join(lines))]
    assert len(ids) == 2
    launcher.send_signal(how)
    launcher.communicate(timeout=30)
    assert wait_until_gone(ids) == []
    assert launcher.returncode == (
        -how if how == signal.SIGKILL else 128 + signal.SIGINT
    )


def test_workers_go_on_when_nobody_reads_their_output(tmp_path):
    code = "for _ in range(20000): print('a line of some length')\n"
    launcher = start(tmp_path, code)
    launcher.stdout.readline()
    launcher.stdout.close()
    with launcher.stderr:
        assert launcher.wait(timeout=60) == 0


def test_what_a_worker_started_ends_with_it(tmp_path):
    code = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '100'])\n"
        "print('child', child.pid, flush=True)\n"
    )
    launcher = start(tmp_path, code, workers=1)
    out, _ = launcher.communicate(timeout=60)
    (child,) = re.findall(r"child (\d+)", out)
    assert wait_until_gone([int(child)]) == []


@pytest.mark.parametrize("strategy", ["mirrored", "one_device"])
def test_workers_that_would_not_train_together_are_refused(strategy, capsys):
    arguments = ["--local", "2", "NAME", "--strategy", strategy]
    with pytest.raises(SystemExit):
        launch.main(arguments)
    assert "train together by --strategy multi_worker" in capsys.readouterr().err
