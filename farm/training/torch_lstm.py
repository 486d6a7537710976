"""An LSTM layer over whole windows for torch, by the kernel of torch.nn.LSTM: oneDNN on a processor, cuDNN on a GPU.

Conventions
-----------
Sequences are (n_windows, n_steps, n_units) float32; weights as in `farm.training.lstm`.
"""

from collections.abc import Callable
from typing import Any


def window_lstm(product_type: str) -> Callable[..., Any]:
    """Return the layer as a function of (sequences, kernel, recurrent, bias)."""
    import torch

    kind = getattr(torch, product_type)

    def lstm(sequences: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        zero = sequences.new_zeros((1, len(sequences), len(recurrent)), dtype=kind)
        weights = [
            one.to(kind) for one in (kernel.T, recurrent.T, bias, torch.zeros_like(bias))
        ]  # torch has two biases
        layers, dropout, trains, both_ways, windows_first = 1, 0.0, torch.is_grad_enabled(), False, True
        outputs, *_ = torch.lstm(
            sequences.to(kind), (zero, zero), weights, True, layers, dropout, trains, both_ways, windows_first
        )
        return outputs.to(sequences.dtype)

    return lstm
