"""Worker in the environment of neural-tangents: times its kernel functions on given correlations, one call at a time.

Started as `python neural_tangents_duals.py correlations.npy`, with an (n, n) array. Each line on stdin, `name dtype`,
is answered by a line of JSON: the seconds of one compiled call and the first values. It imports nothing of ours.
"""

import json
import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["OMP_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax
from neural_tangents._src.utils.kernel import Kernel

LAYERS = {
    "relu": stax.Relu(),
    "leaky_relu": stax.LeakyRelu(0.01),
    "abs": stax.Abs(),
    "erf": stax.Erf(),
    "gelu": stax.Gelu(),
    "sin": stax.Sin(),
    "cos": stax.Cos(),
    "gaussian": stax.Gaussian(),
    "tanh": stax.ElementwiseNumerical(jnp.tanh, deg=25),
}


def compiled(name: str, rho: jax.Array):
    """Return the jitted kernel function of one nonlinearity at variance 1, and its arguments."""
    kernel_fn = LAYERS[name][2]
    shape = (rho.shape[0], 1)

    def nngp(rho, cov1, cov2):
        kernel = Kernel(
            cov1=cov1,
            cov2=cov2,
            nngp=rho,
            ntk=None,
            x1_is_x2=jnp.array(False),
            is_gaussian=True,
            is_reversed=False,
            is_input=False,
            diagonal_batch=True,
            diagonal_spatial=False,
            shape1=shape,
            shape2=shape,
            batch_axis=0,
            channel_axis=1,
            mask1=None,
            mask2=None,
        )
        return kernel_fn(kernel).nngp

    ones = jnp.ones(rho.shape[0], rho.dtype)
    function = jax.jit(nngp)
    function(rho, ones, ones).block_until_ready()
    return function, (rho, ones, ones)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rho = np.load(sys.argv[1])
    ready = {}
    print(json.dumps({"jax": jax.__version__}), flush=True)
    for line in sys.stdin:
        name, dtype = line.split()
        if (name, dtype) not in ready:
            ready[name, dtype] = compiled(name, jnp.asarray(rho.astype(dtype)))
        function, arguments = ready[name, dtype]
        start = time.perf_counter()
        values = function(*arguments).block_until_ready()
        seconds = time.perf_counter() - start
        first = np.asarray(values, dtype=np.float64).ravel()[:64]
        print(json.dumps({"seconds": seconds, "dtype": str(values.dtype), "values": first.tolist()}), flush=True)


if __name__ == "__main__":
    main()
