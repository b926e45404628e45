"""Addresses of workers that train together. Does not import TensorFlow."""

import contextlib
import json
import socket

_EXAMPLE = (
    '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


class DistributionError(ValueError):
    """Devices, workers or batches that do not go together."""


def tf_config(workers, index):
    """The value of `TF_CONFIG` for one of several workers."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": list(workers)}, "task": task})


def read_tf_config(text):
    """Addresses of all workers, and the index of this one, from `TF_CONFIG`."""
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses, kind, index = cluster["worker"], task["type"], task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise _malformed(text, f"{type(error).__name__}: {error}") from error
    if list(cluster) != ["worker"] or kind != "worker":
        raise _malformed(text, "its only job must be 'worker'")
    if not isinstance(addresses, list) or not addresses:
        raise _malformed(text, "'worker' must list addresses")
    for address in addresses:
        if not _is_address(address):
            raise _malformed(text, f"{address!r} is no 'host:port'")
    if len(set(addresses)) < len(addresses):
        raise _malformed(text, "two workers have the same address")
    if not isinstance(index, int) or not 0 <= index < len(addresses):
        raise _malformed(text, f"'index' must be from 0 to {len(addresses) - 1}")
    return addresses, index


def _is_address(address):
    host, _, port = str(address).rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _malformed(text, reason):
    return DistributionError(
        f"The addresses of workers cannot be read: {reason}. Expected in TF_CONFIG, "
        f"for example: {_EXAMPLE}. Received: {text}. To train on this machine alone: "
        "--strategy one_device."
    )


def check_port(address):
    """Raises where a worker cannot listen at its own address."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        # As TensorFlow will: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise DistributionError(
                f"This worker cannot listen at its address {address}: {error}. End "
                "the program that uses the port, or give all workers other ports."
            ) from error


def free_ports(count):
    """Ports of this machine that nothing listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
