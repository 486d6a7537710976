"""One contender in a child process: a network of the farm's sizes that trains on one prepared batch when told to.

    python bench/training_step.py '{"contender": "torch", "products": "bfloat16", "threads": 2, ...}'

Says `ready` once it has trained a few steps; then takes a number of steps per line and answers with the seconds they
took, by the clock and of the processor, or to `profile` with where a step's time goes. Nothing but the contender's
own libraries is loaded here.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

WARM_STEPS = 3


def made_batch(ask: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns, targets and weights of the shapes that `farm.music.batches` gives, filled at random."""
    chance, windows, steps = np.random.default_rng(1), ask["windows"], ask["steps"]
    columns = (chance.random((windows, steps + 1, ask["columns"])) < 0.02).astype(np.uint8)
    targets = np.stack([chance.integers(0, n, (windows, steps)) for n in ask["classes"].values()], -1)
    return columns, targets.astype(np.int32), np.ones(targets.shape, np.float32)


def ours(ask: dict[str, Any]) -> Callable[[], float]:
    """Return a step of the farm's network under the backend of KERAS_BACKEND, with its own LSTM or with Keras's."""
    from farm.training.backend import prepare

    prepare(ask["threads"])
    import keras

    from farm.composing.player import architecture
    from farm.config import Network as NetworkRecipe
    from farm.config import Recipe, Training
    from farm.music.encoding import Encoding
    from farm.training import network, trainee

    if ask["contender"] == "keras":
        network.lstm_layer = lambda units, name, products: keras.layers.LSTM(units, return_sequences=True, name=name)
    trainee.products = lambda: ask["products"]
    shape = architecture(embedding=ask["embedding"], layers=ask["layers"], head=ask["head"])
    recipe = Recipe(network=NetworkRecipe(layers=ask["layers"]), training=Training())
    learner = trainee.Trainee(shape, Encoding(), recipe, [], [], seed=1)
    learner.begin(0.001, None)
    batch = made_batch(ask)
    return lambda: float(learner._network.train_on_batch(*batch, return_dict=True)["loss"])


def torch(ask: dict[str, Any]) -> Callable[[], float]:
    """Return a step of the same network in torch: torch.nn.LSTM, Adam, clipping, the mean of the weights."""
    import torch
    from torch.nn import LSTM, Dropout, Linear, ModuleDict, ModuleList
    from torch.nn import functional as f

    torch.set_num_threads(ask["threads"])
    widths = [ask["embedding"], *ask["layers"]]
    head, first, *later = ask["head"], *ask["classes"]

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward = Linear(ask["columns"], widths[0])
            self.layers = ModuleList(LSTM(inner, outer, batch_first=True) for inner, outer in pairwise(widths))
            self.dropout = Dropout(ask["dropout"])
            self.recall = ModuleDict({field: Linear(widths[-1], head) for field in later})
            self.lookup = ModuleDict({field: Linear(ask["known"][field], head, bias=False) for field in later})
            out = {field: Linear(head if field in later else widths[-1], n) for field, n in ask["classes"].items()}
            self.choose = ModuleDict(out)

        def forward(self, columns: Any) -> dict[str, Any]:
            flow = self.inward(columns[:, :-1].float())
            for layer in self.layers:
                output = self.dropout(layer(flow)[0])
                flow = output + flow if output.shape[-1] == flow.shape[-1] else output
            logits = {first: self.choose[first](flow)}
            for field in later:
                known = columns[:, 1:, : ask["known"][field]].float()
                logits[field] = self.choose[field](f.relu(self.recall[field](flow) + self.lookup[field](known)))
            return logits

    net = Net()
    columns, targets, weights = map(torch.from_numpy, made_batch(ask))
    optimizer = torch.optim.Adam(net.parameters(), 0.001)
    parameters = list(net.parameters())
    means = [one.detach().clone() for one in parameters]
    is_short = ask["products"] == "bfloat16"

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_short):
            logits = net(columns)
        loss = torch.zeros(())
        for index, field in enumerate(ask["classes"]):
            found = logits[field].float().flatten(0, 1)
            surprise = f.cross_entropy(found, targets[..., index].flatten().long(), reduction="none")
            loss = loss + (surprise * weights[..., index].flatten()).sum()
        loss = loss / weights[..., 1].sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(means, parameters, 0.01)
        return float(loss)

    return step


def matrices(ask: dict[str, Any]) -> Callable[[], float]:
    """Return a step that does nothing but products in TensorFlow: `shapes` are (times, m, k, n)."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(ask["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kind = ask["products"]
    pairs = [[tf.cast(tf.random.normal(shape), kind) for shape in ((m, k), (k, n))] for _, m, k, n in ask["shapes"]]

    @tf.function
    def products() -> Any:
        last = []
        for (times, m, _, n), (left, right) in zip(ask["shapes"], pairs, strict=True):
            begin = (0, tf.zeros((m, n), kind))
            body = lambda done, _, left=left, right=right: (done + 1, tf.matmul(left, right))  # noqa: E731
            last.append(tf.while_loop(lambda done, _, times=times: done < times, body, begin)[1][0, 0])
        return tf.add_n([tf.cast(one, tf.float32) for one in last])

    return lambda: float(products())


CONTENDERS = {"ours": ours, "keras": ours, "torch": torch, "matrices": matrices}


def main() -> None:
    ask = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: ask["threads"]])
    step = CONTENDERS[ask["contender"]](ask)
    for _ in range(WARM_STEPS):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "profile":
            import training_profile

            print(json.dumps(training_profile.parts(step)), flush=True)
            continue
        began, used = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        print(json.dumps([time.perf_counter() - began, time.process_time() - used]), flush=True)


if __name__ == "__main__":
    main()
