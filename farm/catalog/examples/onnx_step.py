"""Compose with ONNX Runtime, in the folder of the pack: python examples/onnx_step.py bach-1.onnx."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main(path: str, n_notes: int = 100, seed: int = 1) -> None:
    """Print notes: onset and duration in beats, pitch."""
    catalog = json.loads(Path("catalog.json").read_text(encoding="utf-8"))
    about = next(file for model in catalog["models"] for file in model["files"] if file["path"] == path)
    per_beat, durations = about["encoding"]["steps_per_beat"], about["encoding"]["duration_steps"]
    session, random = onnxruntime.InferenceSession(path), np.random.default_rng(seed)
    kinds = {"tensor(int32)": np.int32, "tensor(float)": np.float32}
    state = {one.name: np.zeros(one.shape, kinds[one.type]) for one in session.get_inputs()[2:]}
    names = [one.name for one in session.get_outputs()]
    event, onset = np.array([about["start"]], np.int32), 0.0
    for _ in range(n_notes):
        chosen = np.zeros_like(event)
        chosen[0, -1] = event[0, -1]  # the metre
        for column, field in enumerate(about["fields"]):
            out = dict(zip(names, session.run(None, {"event": event, "next": chosen, **state}), strict=True))
            weights = np.exp(out[field][0].astype(float) - out[field].max())
            chosen[0, column] = random.choice(len(weights), p=weights / weights.sum())
        if chosen[0, 0] == about["start"][0] - 1:  # the piece ends by itself
            break
        event, state = chosen, {name: out[f"{name}_out"] for name in state}
        onset += int(event[0, 0]) + int(event[0, 1]) / per_beat
        print(f"{onset:8.3f} {durations[event[0, 3]] / per_beat:7.3f} {event[0, 2]:4d}")


if __name__ == "__main__":
    main(sys.argv[1])
