"""Refusing a preset takes little memory, and does nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 64 * 2**20

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK),
    reason="only Linux tells the most memory that was used since some moment",
)


@pytest.fixture(scope="module")
def measured():
    command = [sys.executable, "-m", "tests.hostile.measure"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_bombs_take_no_more_than_the_model_and_64_mib(measured):
    found = measured["mutants"]
    assert len(found) > 400
    assert all(one["refused"] for one in found.values())
    too_much = {
        name: one
        for name, one in found.items()
        if one["used"] > MOST + one["stated"] and name != "warm up"
    }
    assert too_much == {}


def test_nothing_is_written_run_or_fetched(measured):
    assert measured["heard"] == []
