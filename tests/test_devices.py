"""Devices that fail and memory that is too small: what is told, and that the run goes on afterwards."""

import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from farm.config import Network, Recipe, Training
from farm.errors import StorageError, StyleError
from farm.training import gpu_memory, memory
from farm.training.devices import Gpu, explain, is_gpu_there, list_gpus
from tests.small_runs import PLAIN, FakeTrainee, lines_of, piece, recipe_of, train_small


def error_named(name: str, text: str) -> Exception:
    return type(name, (RuntimeError,), {})(text)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ResourceExhaustedError", "OOM when allocating tensor with shape[16,512,2048]", "out of memory"),
        ("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 3221225472 bytes.", "out of"),
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...", "out of memory"),
        ("RuntimeError", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "out of memory"),
        ("_ArrayMemoryError", "Unable to allocate 29.8 GiB for an array", "out of memory"),
        ("InternalError", "Failed copying input tensor: CUDA_ERROR_ILLEGAL_ADDRESS", "the GPU failed"),
        ("XlaRuntimeError", "FAILED_PRECONDITION: DNN library initialization failed.", "the GPU failed"),
        ("AcceleratorError", "CUDA error: unspecified launch failure", "the GPU failed"),
        ("RuntimeError", "No CUDA GPUs are available", "the GPU failed"),
        ("JaxRuntimeError", "INTERNAL: cublas operation failed", "the GPU failed"),
    ],
)
def test_a_device_that_fails_is_told_with_a_way_out(name, text, told):
    found = explain("bach", error_named(name, text), 12, 16)
    assert found is not None
    assert str(found).startswith(f"bach: {told}")
    assert "CUDA_VISIBLE_DEVICES=-1" in str(found)
    assert ("lower training.batch_windows (16)" in str(found)) == told.startswith("out")
    assert "epoch 12" in str(found)
    assert "\n" not in str(found)


def test_other_errors_stay_what_they_are():
    assert explain("bach", ValueError("shapes (3,) and (4,) do not match"), 3, 16) is None
    assert explain("bach", StorageError("disk full; out of memory"), 3, 16) is None


def test_tensorflows_own_error_is_known():
    import tensorflow as tf

    found = explain("bach", tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory"), 0, 16)
    assert "before the first epoch was over" in str(found)


def test_a_run_goes_on_after_its_device_was_lost(monkeypatch, tmp_path):
    class Failing(FakeTrainee):
        fails = True

        def train_epoch(self, epoch):
            if epoch == 3 and self.fails:
                raise error_named("InternalError", "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure")
            return super().train_epoch(epoch)

    monkeypatch.setattr("farm.training.trainee.Trainee", Failing)
    with pytest.raises(StyleError, match=r"tunes: the GPU failed after epoch 2 .* run again: it goes on from epoch 2"):
        train_small(tmp_path, recipe_of())
    monkeypatch.setattr(Failing, "fails", False)
    storage, result = train_small(tmp_path, recipe_of())
    assert result["epochs"] == 4
    assert [line["epoch"] for line in lines_of(storage)] == [1, 2, 3, 4]


def test_a_gpu_is_there_unless_it_is_hidden(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not is_gpu_there(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert is_gpu_there(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not is_gpu_there(tmp_path)


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A machine whose `nvidia-smi` tells of two GPUs; returns its folder of devices."""
    for number in (0, 1):
        (tmp_path / f"nvidia{number}").touch()
    rows = "0, GPU-aa, NVIDIA H100 80GB HBM3, 81559\n1, GPU-bb, Tesla T4, 15360\n"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{rows}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def test_gpus_are_listed_as_far_as_they_are_visible(two_gpus, monkeypatch):
    h100, t4 = Gpu("0", "NVIDIA H100 80GB HBM3", 81_559), Gpu("1", "Tesla T4", 15_360)
    assert list_gpus(two_gpus) == [h100, t4]
    for visible, found in {"1": [t4], "GPU-bb,0": [t4, h100], "7": [], "-1": [], "": []}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert list_gpus(two_gpus) == found
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (two_gpus / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert list_gpus(two_gpus) == [Gpu("0"), Gpu("1")]


def test_a_share_of_a_gpu_is_told_to_each_backend_before_it_starts(two_gpus, monkeypatch):
    """No GPU is needed: what TensorFlow and torch are asked for is what their documentation names."""
    monkeypatch.setattr(gpu_memory, "list_gpus", lambda: list_gpus(two_gpus))
    monkeypatch.setattr(gpu_memory, "is_gpu_there", lambda: True)
    for name in ("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        monkeypatch.setenv(name, "kept")  # so that it is as before after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("FARM_GPU_SHARE", "0.25")
    gpu_memory.before_import()
    assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.2500"
    asked = []
    config = SimpleNamespace(
        list_physical_devices=lambda kind: ["first"],
        LogicalDeviceConfiguration=lambda memory_limit: memory_limit,
        set_logical_device_configuration=lambda gpu, parts: asked.append((gpu, parts)),
    )
    gpu_memory.limit_tensorflow(SimpleNamespace(config=config))
    properties = SimpleNamespace(total_memory=81_559 * 2**20)
    cuda = SimpleNamespace(
        is_available=lambda: True,
        get_device_properties=lambda index: properties,
        set_per_process_memory_fraction=lambda share, index: asked.append((round(share, 3), index)),
    )
    monkeypatch.setenv("FARM_GPU_MEMORY_MIB", "8156")
    gpu_memory.limit_torch(SimpleNamespace(cuda=cuda))
    assert asked == [("first", [20_389]), (0.1, 0)]
    for name in ("FARM_GPU_MEMORY_MIB", "FARM_GPU_SHARE"):
        monkeypatch.delenv(name)
    gpu_memory.before_import()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    gpu_memory.limit_tensorflow(SimpleNamespace(config=config))
    assert len(asked) == 2


# --- memory


def test_the_estimate_is_near_what_a_run_takes(tmp_path):
    network, training = Network(embedding=256, layers=[512, 512], head=256), Training(max_epochs=1)
    recipe = Recipe(network=network, training=training).model_dump()
    code = f"""
import resource
from farm.config import Network, Recipe, Training
from tests.small_runs import train_small
train_small({str(tmp_path)!r}, Recipe.model_validate({recipe!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak = int(done.stdout.split()[-1])
    rows = sum(len(piece(number, 8, 60 + number % 5)) for number in range(6))
    estimate = memory.estimate_bytes(network, training, PLAIN, rows, rows)
    assert peak / 1.4 < estimate < peak * 1.4


def test_the_estimate_grows_with_what_a_person_may_lower():
    def of(n_rows=10**6, layers=(256, 256), **training):
        return memory.estimate_bytes(Network(layers=layers), Training(**training), PLAIN, n_rows, n_rows // 10)

    assert of(layers=(512, 512)) > of()
    assert of(batch_windows=256) > of(batch_windows=64) > of(batch_windows=32)
    assert of(window_notes=512) > of()
    assert of(n_rows=10**8) > of() + 10**9


def test_a_recipe_that_cannot_fit_is_refused_before_it_starts(monkeypatch, tmp_path):
    monkeypatch.setattr("farm.training.loop.available_bytes", lambda: 500_000_000)
    with pytest.raises(
        StyleError, match=r"tunes: .* about 0\.\d GB of memory, 0\.5 GB are there; lower network\.layers"
    ):
        train_small(tmp_path, recipe_of())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({}, 6_000_000 * 1024),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "2000000000\n",
          "sys/fs/cgroup/a/memory.current": "1500000000\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
          "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 300000000\n"}, 800_000_000),
        ({"proc/self/cgroup": "4:cpu,memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1000000000",
          "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "1200000000"}, 0),
    ],
    ids=["machine", "cgroup 2", "cgroup 1"],
)  # fmt: skip
def test_what_there_is_is_the_least_of_machine_and_cgroups(tmp_path, files, available):
    held = {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 6000000 kB\n", "proc/self/status": "VmRSS: 1000 kB\n"}
    for name, text in {**held, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory.available_bytes(tmp_path) == available + 1000 * 1024
    assert memory.available_bytes(tmp_path / "nothing") == sys.maxsize
    assert math.isfinite(memory.available_bytes())
