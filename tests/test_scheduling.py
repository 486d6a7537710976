"""The plan as lists in, lists out; the local executor with real processes."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from farm.config import Recipe
from farm.errors import StyleError
from farm.farm_config import Style
from farm.progress import state_counts
from farm.scheduling import ray_folders, workers
from farm.scheduling.local import LocalExecutor
from farm.scheduling.plan import STAGES, UNTIL, files_digest, next_jobs, plan_base, plan_style
from farm.scheduling.queue import Task
from farm.scheduling.work import CODE_VERSIONS, BaseWork, Work

STYLE = Style.model_validate({"sources": [{"folder": "x", "licence": "CC0-1.0"}]})


def work(style=STYLE, recipe=None, seed=1):
    return Work("bach", style, recipe or Recipe(), seed, "artifacts")


RESULTS = {
    "read": {"digest": "n"},
    "baseline": {"bits_per_note": 5},
    "train": {"run": "r"},
    "judge": {"digest": "v"},
    "publish": {},
}


def receipts_after(some_work, files="f", stages=STAGES, receipts=None):
    """Do the stages one after the other the way the loop does, with made-up results."""
    receipts = dict(receipts or {})
    for stage in stages:
        for number, job in enumerate(plan_style(some_work, files, receipts)):
            if job.stage == stage:
                job = plan_style(some_work, files, receipts)[number]
                receipts[job.key] = {"inputs": dict(job.inputs), "result": RESULTS[stage], "seconds": 2.0}
    return receipts


def reasons(jobs):
    return {job.stage: job.reason for job in jobs}


def test_a_new_style_starts_with_reading():
    jobs = plan_style(work(), "f", {})
    assert reasons(jobs) == {
        "read": "never done",
        "baseline": "follows read",
        "train": "follows read",
        "judge": "follows train",
        "publish": "follows judge",
    }
    assert [job.stage for job in next_jobs(jobs, STAGES)] == ["read"]


def test_after_reading_two_jobs_can_start():
    jobs = plan_style(work(), "f", receipts_after(work(), stages=["read"]))
    assert [job.stage for job in next_jobs(jobs, STAGES)] == ["baseline", "train"]
    assert next_jobs(jobs, UNTIL["read"]) == []


def test_a_finished_style_has_nothing_to_do():
    jobs = plan_style(work(), "f", receipts_after(work()))
    assert all(job.fresh for job in jobs)
    assert jobs[0].last_seconds == 2.0


@pytest.mark.parametrize(
    ("changed", "files", "stage", "reason"),
    [
        (work(), "other files", "read", "files changed"),
        (work(recipe=Recipe.model_validate({"network": {"layers": [64]}})), "f", "train", "recipe changed"),
        (work(recipe=Recipe.model_validate({"selection": {"plateau_share": 0.3}})), "f", "judge", "rule changed"),
        (work(recipe=Recipe.model_validate({"samples": {"count": 2}})), "f", "judge", "samples changed"),
        (work(style=STYLE.model_copy(update={"title": "Bach!"})), "f", "publish", "title and licences changed"),
    ],
)
def test_a_change_makes_its_stage_stale_and_nothing_before_it(changed, files, stage, reason):
    jobs = plan_style(changed, files, receipts_after(work()))
    stale = [job for job in jobs if not job.fresh]
    assert (stale[0].stage, stale[0].reason) == (stage, reason)
    assert all(job.reason.startswith("follows") for job in stale[1:])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_whose_code_gives_another_result_now_runs_again(stage, monkeypatch):
    done = receipts_after(work())
    monkeypatch.setitem(CODE_VERSIONS, stage, 99)
    stale = [job for job in plan_style(work(), "f", done) if not job.fresh]
    assert (stale[0].stage, stale[0].reason) == (stage, "code version changed")


def test_a_file_that_is_gone_is_named_as_the_reason():
    done = receipts_after(work())
    del done["train/compact"]
    jobs = plan_style(work(), "f", done, lost={"train/compact": "runs/bach/r/metrics.jsonl"})
    assert reasons(jobs)["train"] == "runs/bach/r/metrics.jsonl is missing"
    assert reasons(plan_style(work(), "f", done))["train"] == "never done"


def test_the_same_notes_from_other_files_train_nothing_anew():
    receipts = receipts_after(work())
    receipts["read"] = receipts_after(work(), files="other")["read"]
    assert all(job.fresh for job in plan_style(work(), "other", receipts))


BASE = {"base/compact": {"inputs": {}, "result": {"digest": "w", "sources": []}, "seconds": 9.0}}


def test_training_waits_for_the_base_and_is_bound_to_its_weights():
    based = Work("bach", STYLE, Recipe(), 1, "artifacts", start="base")
    read = receipts_after(based, stages=["read"])
    assert reasons(plan_style(based, "f", read))["train"] == "follows base"
    done = receipts_after(based, receipts=BASE)
    assert all(job.fresh for job in plan_style(based, "f", done))
    other = {**done, "base/compact": {"inputs": {}, "result": {"digest": "other", "sources": []}, "seconds": 9.0}}
    assert reasons(plan_style(based, "f", other))["train"] == "base changed"
    alone = reasons(plan_style(work(), "f", done))["train"]
    assert alone == "recipe and base changed"  # a start has its own learning rate
    assert based.run_id("n", "w") != based.run_id("n", "other") != based.run_id("n")


def test_other_labels_of_what_the_base_heard_publish_again():
    based = Work("bach", STYLE, Recipe(), 1, "artifacts", start="base")
    done = receipts_after(based, receipts=BASE)
    told = {"digest": "w", "sources": [{"style": "x", "source": "y", "licence": "CC0-1.0"}]}
    jobs = plan_style(based, "f", {**done, "base/compact": {"inputs": {}, "result": told, "seconds": 9.0}})
    assert {job.stage: job.reason for job in jobs if not job.fresh} == {"publish": "title and licences changed"}


def test_a_recipe_without_a_base_starts_from_nothing():
    alone = Recipe.model_validate({"base": None})
    based = Work("bach", STYLE, alone, 1, "artifacts", start="base")
    assert based.starts_from == "none"
    assert all(job.fresh for job in plan_style(based, "f", receipts_after(based)))


def test_each_recipe_has_its_own_training_and_judging():
    two = Work("bach", STYLE, Recipe(), 1, "artifacts", others=(Recipe.model_validate({"name": "large"}),))
    keys = [job.key for job in plan_style(two, "f", {})]
    assert keys == ["read", "baseline", "train/compact", "judge/compact", "train/large", "judge/large", "publish"]
    done = receipts_after(two)
    assert all(job.fresh for job in plan_style(two, "f", done))
    half = {key: receipt for key, receipt in done.items() if key not in ("train/large", "judge/large", "publish")}
    assert reasons(plan_style(two, "f", half))["publish"] == "follows judge large"
    (publish,) = [job for job in plan_style(two, "f", half, failed=["large"]) if job.stage == "publish"]
    assert publish.ready
    one = {job.key: job.reason for job in plan_style(work(), "f", done)}
    assert one == {
        "read": None,
        "baseline": None,
        "train/compact": None,
        "judge/compact": None,
        "publish": "verdict changed",
    }


def test_two_recipes_that_train_alike_have_their_own_folders():
    large = Recipe.model_validate({"name": "large", "samples": {"count": 9}})
    assert work(recipe=large).run_id("n") != work().run_id("n")


def test_a_base_runs_again_for_music_licences_and_styles():
    def base(**changes):
        made = {"recipe": Recipe(), "wish": "all", "hears": ("bach",), "settings": {"bach": STYLE}, **changes}
        return BaseWork(**made, seed=1, root="artifacts")

    reads = {"bach": {"digest": "n"}}
    first = plan_base(base(), reads, {})
    assert (first.reason, first.ready, first.key) == ("never done", True, "base/compact")
    receipts = {first.key: {"inputs": dict(first.inputs), "result": {}, "seconds": 1.0}}

    def reason(work, reads=reads):
        return plan_base(work, reads, receipts).reason

    assert plan_base(base(), {"bach": None}, receipts).ready is False
    assert reason(base()) is None
    assert reason(base(), {"bach": {"digest": "m"}}) == "notes changed"
    assert reason(base(wish="bach")) == "styles changed"
    labelled = STYLE.model_copy(update={"sources": [STYLE.sources[0].model_copy(update={"url": "https://x"})]})
    assert reason(base(settings={"bach": labelled})) == "licences changed"
    assert reason(base(recipe=Recipe.model_validate({"base": {"max_epochs": 2}}))) == "recipe changed"


def test_the_number_of_threads_is_no_part_of_any_key():
    few, many = work(), Work("bach", STYLE, Recipe(), 1, "elsewhere", threads=64)
    assert few.run_id("n") == many.run_id("n")
    assert few.run_id("n") != work(seed=2).run_id("n")


def test_the_hash_of_the_files_knows_no_order():
    one, two = ("s", "a.mid", "1"), ("s", "b.mid", "2")
    assert files_digest([one, two]) == files_digest([two, one]) != files_digest([one])


# Calls for the executors; at module level so that a child process can import them.


def _square(number):
    return {"square": number * number, "process": os.getpid()}


def _refuse(number):
    raise StyleError(f"style {number}: too little music")


def _die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def _stumble(number):
    return {"x": 1 / 0}


def _load(number):
    sys.modules["keras"] = sys  # as if
    return {"process": os.getpid()}


def _sleep(number):
    time.sleep(600)


def _finish(executor, tasks):
    for one in tasks:
        executor.submit(one)
    outcomes = {}
    deadline = time.monotonic() + 60
    while len(outcomes) < len(tasks) and time.monotonic() < deadline:
        outcomes |= {outcome.task.id: outcome for outcome in executor.wait(1)}
    return outcomes


def test_local_executor_tells_failures_apart_and_goes_on():
    executor = LocalExecutor(2)
    try:
        calls = {"good": _square, "refused": _refuse, "dead": _die, "bug": _stumble}
        done = _finish(executor, [Task(name, name, "judge", call, (3,)) for name, call in calls.items()])
        assert done["good"].value["square"] == 9
        assert done["good"].value["process"] != os.getpid()
        assert (done["refused"].kind, done["refused"].error) == ("style", "style 3: too little music")
        assert (done["dead"].kind, done["dead"].error) == ("infrastructure", "worker process ended with code -9")
        assert done["bug"].kind == "bug"
        assert "ZeroDivisionError" in done["bug"].error
        assert _finish(executor, [Task("again", "s", "judge", _square, (4,))])["again"].value["square"] == 16
    finally:
        executor.close()


def test_a_worker_that_has_loaded_keras_is_not_used_again():
    executor = LocalExecutor(1)
    try:
        tasks = [Task(str(n), "s", "train", call, (n,)) for n, call in enumerate([_square, _square, _load, _square])]
        processes = [_finish(executor, [one])[one.id].value["process"] for one in tasks]
    finally:
        executor.close()
    assert processes[0] == processes[1] == processes[2] != processes[3]


def test_closing_the_local_executor_ends_a_child_at_work():
    executor = LocalExecutor(1)
    executor.submit(Task("long", "s", "judge", _sleep, (0,)))
    processes = [worker.process for worker in executor._workers]
    executor.close()
    assert processes
    assert not any(process.is_alive() for process in processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_is_started_whole_before_a_signal_stops_the_farm(monkeypatch, number):
    """Whatever thread the system gives the signal to, Python lets it interrupt the main one."""
    real, started = workers.SpawnProcess.start, []

    def stop():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        signal.pthread_kill(threading.get_ident(), number)

    def start(process):
        thread = threading.Thread(target=stop)
        thread.start()
        thread.join()
        real(process)
        started.append(process)

    before = signal.signal(number, signal.default_int_handler)
    try:
        monkeypatch.setattr(workers.SpawnProcess, "start", start)
        with pytest.raises(KeyboardInterrupt):
            workers.Worker()
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    (process,) = started
    process.terminate()
    process.join()


def test_the_first_child_of_a_process_too_is_born_deaf_to_an_interrupt():
    """It may be hit before it could say that it does not listen, and would end with a trace."""
    first = """
import re, signal
from farm.scheduling.workers import Worker
worker = Worker()
status = open(f"/proc/{worker.process.pid}/status").read()
print(int(re.search(r"SigBlk:\\s*(\\w+)", status)[1], 16) >> (signal.SIGINT - 1) & 1)
worker.process.kill()
"""
    done = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1", done.stderr


def ended_process():
    """Return the id of a process that has been."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_killed_run_s_ray_folder_goes_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = ended_process()
    ours = ray_folders.make_folder()
    strange = ["farm-ray-", "farm-ray-0-x", f"farm-ray--{ended}-x", f"farm-ray-{'9' * 30}-x", f"not-farm-ray-{ended}-x"]
    (left := tmp_path / f"farm-ray-{ended}-abc" / "session" / "logs").mkdir(parents=True)
    (left / "raylet.out").write_text("x")
    for name in [f"farm-ray-{os.getppid()}-abc", "music", *strange]:
        (tmp_path / name).mkdir()
    (tmp_path / f"farm-ray-{ended}-link").symlink_to(tmp_path / "music")
    (tmp_path / f"farm-ray-{ended}-file").write_text("not a folder")
    before = set(os.listdir(tmp_path))
    ray_folders.remove_abandoned()
    assert before - set(os.listdir(tmp_path)) == {f"farm-ray-{ended}-abc"}
    assert ours.is_dir()


def test_another_user_s_ray_folder_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (folder := tmp_path / f"farm-ray-{ended_process()}-abc").mkdir()
    with monkeypatch.context() as other:
        other.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
        ray_folders.remove_abandoned()
        assert folder.is_dir()
    ray_folders.remove_abandoned()
    assert not folder.exists()


def test_what_became_of_the_files_is_told_in_one_line():
    states = {"duplicate": 12, "read": 1034, "rejected": 3, "skipped": 0}
    assert " · ".join(state_counts(states)) == (
        "read 1,034 · duplicate 12 · rejected 3 (see farm status --rejects) · skipped 0"
    )
    assert "see" not in " ".join(state_counts(states | {"rejected": 0}))


def test_a_folder_without_a_farm_does_not_say_that_every_file_was_read(tmp_path):
    from farm.status import reject_lines, status_facts, status_lines
    from farm.storage import Storage

    facts = status_facts(Storage(tmp_path), with_rejects=True)
    assert reject_lines(facts) == status_lines(facts)
    assert "nothing yet; run 'farm run corpora.yaml' first" in reject_lines(facts)[0]
