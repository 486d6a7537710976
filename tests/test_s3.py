"""Artifacts in a bucket: what a folder promises a bucket promises too, against a real S3 server process."""

import itertools
import json
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from killed_nodes import farm_once, write_farm
from small_cluster import cluster_of, processes_of, wait_until
from small_music import write_corpus
from test_end_to_end import RECIPE, edit, farm

from farm import layout
from farm.catalog.publish import current, publish
from farm.catalog.verify import verify
from farm.doctor import examine
from farm.errors import BusyError, FarmError, StorageError
from farm.scheduling import ledger, sharing
from farm.scheduling.local import LocalExecutor
from farm.storage import Storage
from farm.stores import lease, puts

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server():
    """The address of an S3 server with the bucket `music`, whose settings are in the environment."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("s3_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        request = urllib.request.Request(f"{address}/music", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        yield address
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server):
    """A part of the bucket that no other test uses."""
    return f"s3://music/test-{next(NUMBERS)}"


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    return str(tmp_path / "artifacts") if request.param == "folder" else request.getfixturevalue("bucket")


# What every place promises


def test_files_are_written_read_listed_and_deleted(place):
    storage = Storage(place)
    assert not storage.exists("a/b.json")
    assert (storage.list("a"), storage.walk("a"), storage.read_lines("a/c.jsonl")) == ([], [], [])
    with pytest.raises(StorageError, match=r"artifacts/a/b\.json|test-\d+/a/b\.json"):
        storage.read_bytes("a/b.json")
    storage.delete("a/b.json")
    storage.write_json("a/b.json", {"note": "ä"})
    storage.write_chunks("a/deep/c.bin", iter([b"1", b"", b"23"]))
    storage.write_bytes("a/deep/empty", b"")
    storage.tell_json("ab", {"epoch": 1})
    assert Storage(place).read_json("a/b.json") == {"note": "ä"}
    assert storage.read_bytes("a/deep/c.bin") == bytes(storage.map_bytes("a/deep/c.bin")) == b"123"
    assert storage.read_bytes("a/deep/empty") == b""
    assert storage.read_json("ab") == {"epoch": 1}
    assert storage.list("a") == ["a/b.json"]
    assert storage.list("a/deep", ".bin") == ["a/deep/c.bin"]
    assert storage.walk("a") == ["a/b.json", "a/deep/c.bin", "a/deep/empty"]
    assert (storage.exists("a"), storage.exists("a/deep")) == (False, False)
    storage.write_text("a/b.json", "{")
    with pytest.raises(StorageError, match=r"a/b\.json: not valid JSON"):
        storage.read_json("a/b.json")
    storage.delete("a/deep/c.bin")
    storage.delete("a/deep/empty")
    assert storage.walk("a") == ["a/b.json"]
    assert storage.address("a/b.json") == f"{place}/a/b.json"


def test_chunks_that_break_off_leave_the_old_file(place):
    storage = Storage(place)
    storage.write_bytes("x", b"old")

    def breaking():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_chunks("x", breaking())
    assert storage.read_bytes("x") == b"old"


def test_what_is_created_is_not_overwritten_and_what_changed_is_not_swapped(place):
    storage = Storage(place)
    assert not storage.swap_bytes("x", b"", b"1")
    assert storage.create_bytes("x", b"1")
    assert not Storage(place).create_bytes("x", b"2")
    assert not storage.swap_bytes("x", b"2", b"3")
    assert storage.read_bytes("x") == b"1"
    assert storage.swap_bytes("x", b"1", b"3")
    assert storage.read_bytes("x") == b"3"


def at_once(count, call):
    """Make a call in so many threads that begin together; return what each gave."""
    begin, results = threading.Barrier(count), []

    def one(number):
        begin.wait()
        results.append(call(number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_who_create_or_swap_at_once_one_does(place):
    storages = [Storage(place) for _ in range(8)]
    created = at_once(8, lambda number: storages[number].create_bytes("x", b"%d" % number))
    assert sum(created) == 1
    before = storages[0].read_bytes("x")
    swapped = at_once(8, lambda number: storages[number].swap_bytes("x", before, b"then %d" % number))
    assert sum(swapped) == 1
    assert storages[0].read_bytes("x").startswith(b"then")


def test_no_line_is_lost_whoever_appends(place):
    mine, other = Storage(place), Storage(place)
    for number in range(3):
        mine.append_json("log.jsonl", {"mine": number})
        other.append_json("log.jsonl", {"other": number})
    mine.write_bytes("log.jsonl", b'{"mine": 0}\n')  # as a run does that goes back
    mine.append_json("log.jsonl", {"mine": 9})
    assert mine.read_lines("log.jsonl") == [{"mine": 0}, {"mine": 9}]
    storages = [Storage(place) for _ in range(6)]
    at_once(6, lambda number: [storages[number].append_json("many.jsonl", {"n": [number, turn]}) for turn in range(4)])
    lines = sorted(tuple(line["n"]) for line in mine.read_lines("many.jsonl"))
    assert lines == [(number, turn) for number in range(6) for turn in range(4)]


def test_twenty_publishers_at_once_write_each_number_once(place):
    class Noting(Storage):
        def create_bytes(self, key, data):
            done = super().create_bytes(key, data)
            created.append((key, done))
            return done

    created = []
    storages = [Noting(place) for _ in range(20)]

    def publish_one(number):
        failure = {"style": f"style-{number}", "stage": "read", "message": "nothing to read"}
        return publish(storages[number], [], [failure])

    numbers = at_once(20, publish_one)
    assert sorted(numbers) == list(range(1, 21))
    by_whom = [key for key, done in created if done and key != layout.CURRENT]
    assert sorted(by_whom) == sorted(layout.catalog_numbered(number) for number in range(1, 21))
    catalog = current(Storage(place))
    assert catalog["number"] == 20
    assert len(catalog["failures"]) == 20, "nobody's news is lost"
    assert verify(place) == []


def test_a_catalog_that_follows_no_other_stops_the_next(place):
    storage = Storage(place)
    publish(storage, [], [])
    storage.write_json(layout.catalog_numbered(2), {"number": 2, "previous_sha256": "0" * 64})
    with pytest.raises(FarmError, match=r"catalog-2\.json: does not follow the catalog in force; move it away"):
        publish(storage, [], [{"style": "bach", "stage": "read", "message": "x"}])


def test_a_second_owner_is_refused_by_the_name_of_the_first(place):
    storage = Storage(place)
    assert not ledger.is_running(storage)
    with ledger.owned(storage):
        assert ledger.is_running(Storage(place))
        with (
            pytest.raises(BusyError, match=r"farm, process \d+ on .* is already working in this folder"),
            ledger.owned(Storage(place)),
        ):
            pass
        ledger.note_attempt(storage, "bach", "train", "started")
    assert not ledger.is_running(storage)
    with ledger.owned(Storage(place)):
        pass


# The lease


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(lease, "LEASE_SECONDS", 3.0)
    monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.5)


def _hold(place, ready):
    with ledger.owned(Storage(place)):
        ready.set()
        time.sleep(60)


def test_a_dead_owner_blocks_until_its_lease_is_over(bucket, short):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(bucket, ready))
    other.start()
    assert ready.wait(60)
    other.kill()
    other.join()
    with pytest.raises(BusyError, match=rf"process {other.pid} on .*if it was killed, wait [123] seconds"):
        ledger.owned(Storage(bucket)).__enter__()
    time.sleep(4.5)
    with ledger.owned(Storage(bucket)):
        time.sleep(4.5)  # longer than a lease without its renewals
        assert ledger.is_running(Storage(bucket))


def test_an_owner_that_was_cut_off_writes_no_more(bucket, short, monkeypatch):
    storage = Storage(bucket)

    def unreachable(self, facts):
        raise StorageError("no network")

    with ledger.owned(storage):
        storage.write_text("x", "mine")
        with monkeypatch.context() as patch:
            patch.setattr(lease.Lease, "_put", unreachable)
            time.sleep(4.5)
        with ledger.owned(Storage(bucket)), pytest.raises(BusyError, match="was cut off from it for 3 seconds"):
            storage.write_text("x", "mine again")
    assert Storage(bucket).read_bytes("x") == b"mine"


def test_an_owner_whose_lease_was_taken_over_learns_of_it(bucket, short):
    storage, other = Storage(bucket), Storage(bucket)
    with ledger.owned(storage):
        other.write_json(layout.LOCK, {"owner": "somebody else"})
        time.sleep(2)
        with pytest.raises(BusyError, match="another may own it now"):
            storage.exists("x")
    assert other.read_json(layout.LOCK)["owner"] == "somebody else"


def test_an_owner_whose_renewal_was_not_answered_stays_the_owner(bucket, short, monkeypatch):
    real, unanswered = puts.Puts.put_if, []

    def put_if(self, key, data, etag):
        written = real(self, key, data, etag)
        if b'"renewals": 1' in data and not unanswered:
            unanswered.append(key)
            raise StorageError("no answer")
        return written

    monkeypatch.setattr(puts.Puts, "put_if", put_if)
    storage = Storage(bucket)
    with ledger.owned(storage):
        time.sleep(4.5)
        assert unanswered
        assert not storage.exists("x")
    assert not ledger.is_running(storage)


def test_a_store_that_ignores_conditions_is_refused(bucket, monkeypatch):
    real = puts.Puts._put
    monkeypatch.setattr(puts.Puts, "_put", lambda self, key, data, **condition: real(self, key, data))
    with pytest.raises(StorageError, match="this store ignores If-None-Match"), ledger.owned(Storage(bucket)):
        pass


def test_a_put_whose_answer_was_lost_is_not_taken_for_anothers(bucket, monkeypatch):
    storage, real, lost = Storage(bucket), puts.Puts._put, []

    def losing(self, key, data, **condition):
        if not lost:
            lost.append(real(self, key, data, **condition))
        try:
            return real(self, key, data, **condition)
        except self._errors.ClientError as error:
            error.response["ResponseMetadata"]["RetryAttempts"] = 1
            raise

    monkeypatch.setattr(puts.Puts, "_put", losing)
    assert storage.create_bytes("x", b"1")
    assert not storage.create_bytes("x", b"2")


# What goes wrong


def test_what_is_wrong_with_the_store_is_told_with_the_way_out(bucket, monkeypatch):
    for act in (lambda storage: storage.exists("x"), lambda storage: storage.write_bytes("x", b"")):
        with pytest.raises(StorageError, match=r"s3://nothing/here.*there is no such bucket; make it, or correct"):
            act(Storage("s3://nothing/here"))
    for address in ("gs://music/x", "s3://", "s3:///x"):
        with pytest.raises(FarmError, match="is no place for artifacts; give a folder or s3://bucket/prefix"):
            Storage(address)
    finding = {one["name"]: one for one in examine(Storage(bucket))}["artifacts"]
    assert finding["found"] == f"{bucket} can be read"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        began = time.monotonic()
        for act in (lambda storage: storage.exists("x"), lambda storage: storage.write_bytes("x", b"")):
            with pytest.raises(StorageError, match=r"s3://music/test-\d+/.*the store cannot be reached; check the net"):
                act(Storage(bucket))
        assert time.monotonic() - began < 60
        finding = {one["name"]: one for one in examine(Storage(bucket))}["artifacts"]
        assert not finding["ok"]


def test_credentials_that_are_refused_are_told(server, bucket):
    def check_from_now_on(requests):
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{server}/moto-api/reset-auth", data=requests, headers=plain, method="POST")
        urllib.request.urlopen(request, timeout=60).close()

    check_from_now_on(b"0")
    try:
        with pytest.raises(StorageError, match=r"credentials"):
            Storage(bucket).exists("x")
        with pytest.raises(StorageError, match=r"the store does not know these credentials; correct AWS_ACCESS_KEY"):
            Storage(bucket).write_bytes("x", b"")
    finally:
        check_from_now_on(b"inf")


def test_without_boto3_the_extra_is_named(bucket, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    puts.client_of.cache_clear()
    with pytest.raises(FarmError, match=r"takes boto3; install it with pip install 'music-model-farm\[s3\]'"):
        Storage(bucket).write_bytes("x", b"")


# A cluster


def test_a_place_that_some_machines_do_not_see_is_refused(place, tmp_path):
    storage = Storage(place)

    def ask(call, home):
        return {"10.0.0.1": call(home), "10.0.0.2": call(f"{home}-of-another"), "10.0.0.3": "No module named 'farm'"}

    sharing.check_shared(storage, lambda call, home: {"10.0.0.1": call(home)})
    with pytest.raises(FarmError, match="not every machine of the cluster sees it") as refused:
        sharing.check_shared(storage, ask)
    told = str(refused.value)
    assert "10.0.0.1" not in told
    assert "10.0.0.2: sees an empty place" in told
    assert "10.0.0.3: No module named 'farm'" in told
    assert ("--artifacts s3://bucket/prefix" in told) == (not storage.is_remote)
    assert not storage.exists(layout.TOKEN)


# The whole farm


def test_a_farm_in_a_bucket_is_the_farm_in_a_folder(bucket, tmp_path):
    write_corpus(tmp_path / "music", {"valley": 10})
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**RECIPE, "training": {**RECIPE["training"], "max_epochs": 2}}))
    farm("init", "music", cwd=tmp_path)
    edit(tmp_path / "corpora.yaml", lambda data: data.update(recipe="tiny.yaml", base="none"))
    edit(tmp_path / "corpora.yaml", lambda data: data["styles"]["valley"]["sources"][0].update(licence="CC0-1.0"))
    farm("run", "--executor", "local", cwd=tmp_path)
    at_bucket = ("--artifacts", bucket)
    for place in ((), at_bucket):
        if place:
            edit(tmp_path / "corpora.yaml", lambda data: data.update(artifacts=bucket))
            assert bucket in farm("plan", cwd=tmp_path)
            out = json.loads(farm("run", "--executor", "local", "--json", cwd=tmp_path))
            assert (out["failed"], out["site"]) == ([], f"{bucket}/site/index.html")
        assert "epoch 2, approved" in farm("approve", "valley", "--epoch", "2", "--why", "lively", *place, cwd=tmp_path)
        farm("compose", "valley", "-o", f"{len(place)}.mid", "--notes", "40", *place, cwd=tmp_path)
    assert (tmp_path / "0.mid").read_bytes() == (tmp_path / "2.mid").read_bytes()
    folder, there = Storage(tmp_path / "artifacts"), Storage(bucket)
    (ours,), (theirs,) = current(folder)["models"], current(there)["models"]
    assert [file["sha256"] for file in ours["files"]] == [file["sha256"] for file in theirs["files"]]
    (verdict,) = [key for key in folder.walk(layout.RUNS) if key.endswith("verdict.json")]
    assert folder.read_json(verdict) == there.read_json(verdict)
    for tree in (layout.NOTES, layout.PIECES, layout.SITE, layout.RUNS, layout.CATALOG):
        assert folder.walk(tree) == there.walk(tree)
    assert [style["ran"] for style in json.loads(farm("run", "--json", cwd=tmp_path))["styles"]] == [[]]
    status = farm("status", *at_bucket, cwd=tmp_path)
    assert "valley: read, baseline, train, judge, publish done" in status
    assert "no farm is running" in status
    assert "every hash holds" in farm("verify", bucket, cwd=tmp_path)
    assert "1 models" in farm("ship", "pack", *at_bucket, cwd=tmp_path)
    assert "every hash holds" in farm("verify", "pack", cwd=tmp_path)


def test_a_cluster_reads_where_the_farm_is_and_trains_where_there_is_room(bucket, tmp_path):
    """The head of a cluster offers no processor, and the nodes know nothing of the music's folder."""
    from farm.scheduling.cluster import RayExecutor

    class Noting(RayExecutor):
        def submit(self, task):
            places.setdefault(task.stage, set()).add(task.place.node)
            super().submit(task)

    places = {}
    write_farm(tmp_path)
    with cluster_of({"num_cpus": 2}) as cluster:
        states, storage = farm_once(
            bucket, tmp_path, lambda: Noting(0, cluster.address, Storage(bucket)), until="train"
        )
        assert places["read"].isdisjoint(cluster.nodes)
        assert places["train"] == places["baseline"] == set(cluster.nodes)
        address = cluster.address
    assert wait_until(lambda: not processes_of(address), 60), processes_of(address)
    assert [state.error for state in states] == ["", ""]
    farm_once(tmp_path / "artifacts", tmp_path, lambda: LocalExecutor(2), until="read")
    here = Storage(tmp_path / "artifacts")
    for key in here.walk(layout.NOTES):
        assert here.read_bytes(key) == storage.read_bytes(key)
