"""Addresses of workers."""

import pytest

from training.cluster import DistributionError, read_tf_config, tf_config

GOOD = tf_config(["host1:1", "host2:2"], 1)


def test_addresses_come_from_tf_config():
    assert read_tf_config(GOOD) == (["host1:1", "host2:2"], 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"cluster": {}}', "KeyError: 'task'"),
        (GOOD.replace("host1:1", "host1"), "'host1' is no 'host:port'"),
        (GOOD.replace("host1:1", "host1:99999"), "'host1:99999' is no"),
        (GOOD.replace("host1:1", "host2:2"), "the same address"),
        (GOOD.replace('"index": 1', '"index": 2'), "'index' must be from 0 to 1"),
        (GOOD.replace('"type": "worker"', '"type": "ps"'), "must be 'worker'"),
        (GOOD.replace('["host1:1", "host2:2"]', '"host1:1"'), "must list addresses"),
    ],
)
def test_a_malformed_tf_config_is_told_with_an_example(text, reason):
    with pytest.raises(DistributionError) as caught:
        read_tf_config(text)
    assert reason in str(caught.value)
    assert '"task": {"type": "worker", "index": 0}' in str(caught.value)
