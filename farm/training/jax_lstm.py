"""An LSTM layer over whole windows for JAX on a processor, with its own gradient.

Only the recurrent product is inside the loop over time; the products with the input and those for all weight
gradients are done once over the whole window. JAX left to itself would sum the weights' gradients step by step.

Conventions
-----------
Sequences are (n_windows, n_steps, n_units) float32, time first inside; weights as in `farm.training.lstm`.
"""

from typing import Any

import jax
from jax import numpy as jnp


@jax.custom_vjp
def window_lstm(sequences: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """Return the outputs of all steps, out of a zero state."""
    return _forward(sequences, kernel, recurrent, bias)[0]


def _forward(sequences: Any, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any]:
    driven = jnp.swapaxes(sequences @ kernel + bias, 0, 1)
    zero = jnp.zeros((len(sequences), len(recurrent)), sequences.dtype)

    def step(state: Any, drive: Any) -> tuple[Any, Any]:
        output, cell = state
        let_in, keep, new, let_out = jnp.split(drive + output @ recurrent, 4, -1)
        let_in, keep, let_out = (jax.nn.sigmoid(gate) for gate in (let_in, keep, let_out))
        new = jnp.tanh(new)
        after = keep * cell + let_in * new
        output = let_out * jnp.tanh(after)
        return (output, after), (output, cell, after, let_in, keep, new, let_out)

    _, (outputs, *kept) = jax.lax.scan(step, (zero, zero), driven)
    return jnp.swapaxes(outputs, 0, 1), (sequences, kernel, recurrent, outputs, kept)


def _backward(known: Any, upstream: Any) -> tuple[Any, Any, Any, Any]:
    sequences, kernel, recurrent, outputs, kept = known
    zero = jnp.zeros_like(outputs[0])

    def step(pulls: Any, then: Any) -> tuple[Any, Any]:
        (to_output, to_cell), (pull, (before, after, let_in, keep, new, let_out)) = pulls, then
        to_output, squashed = to_output + pull, jnp.tanh(after)
        to_cell = to_cell + to_output * let_out * (1 - squashed * squashed)
        to_gates = (
            to_cell * new * let_in * (1 - let_in),
            to_cell * before * keep * (1 - keep),
            to_cell * let_in * (1 - new * new),
            to_output * squashed * let_out * (1 - let_out),
        )
        to_driven = jnp.concatenate(to_gates, -1)
        return (to_driven @ recurrent.T, to_cell * keep), to_driven

    _, to_driven = jax.lax.scan(step, (zero, zero), (jnp.swapaxes(upstream, 0, 1), tuple(kept)), reverse=True)
    before = jnp.concatenate([zero[None], outputs[:-1]])
    to_recurrent = jnp.einsum("twu,twg->ug", before, to_driven)
    to_driven = jnp.swapaxes(to_driven, 0, 1)
    to_kernel = jnp.einsum("wti,wtg->ig", sequences, to_driven)
    return to_driven @ kernel.T, to_kernel, to_recurrent, to_driven.sum((0, 1))


window_lstm.defvjp(_forward, _backward)
