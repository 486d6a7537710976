"""What answers at the address of a cluster, told within seconds whatever it is; and what Ray's failures are called."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from farm.errors import FarmError
from farm.scheduling.ray_address import check_address


@contextmanager
def listening(answer):
    """A port on this machine at which everybody gets the same answer; None for none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve():
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                kept.append(line)
                if answer is not None:
                    line.recv(100)
                    line.sendall(answer)
                    line.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for line in kept:
            line.close()


def why(address, patience_seconds=2.0):
    began = time.monotonic()
    with pytest.raises(FarmError) as caught:
        check_address(address, patience_seconds)
    assert time.monotonic() - began < 10
    return str(caught.value)


def test_an_address_at_which_nobody_is_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert f"--address 127.0.0.1:{port}: cannot be reached (Connection refused)" in why(f"127.0.0.1:{port}")
    assert "cannot be reached" in why("no-such-host.invalid:6379")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port", "head:99999"])
def test_an_address_is_a_host_and_a_port(address):
    assert f"--address {address}: this is no host:port; name the head of the cluster" in why(address)


def test_ray_s_clients_are_sent_to_the_cluster():
    assert "submit it there with 'ray job submit'" in why("ray://head:10001")


def test_what_says_nothing_is_not_waited_for():
    with listening(None) as address:
        assert f"--address {address}: no answer within 0 s" in why(address, patience_seconds=0.2)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b""])
def test_what_is_no_ray_is_told_apart(answer):
    with listening(answer) as address:
        assert why(address).startswith(f"--address {address}: ")


def test_what_speaks_http_2_may_be_ray():
    with listening(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address:
        check_address(address)
    check_address("auto")
