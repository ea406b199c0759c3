"""Worker in the environment of neural-tangents: times its compiled functions, one call at a time.

Each line on stdin is a request, an object: ``{"job": "dual", "name": "relu", "dtype": "float64", "path": "rho.npy"}``
for the kernel function of a nonlinearity on an (n, n) array of correlations, or ``{"job": "layer", "width": 512,
"rho": 0.5, "samples": 32}`` for the Monte Carlo kernel of one random layer. It is answered by an object on a line: the
processor time of one call and the first values. It imports nothing of ours.
"""

import json
import math
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
import neural_tangents
import numpy as np
from jax.experimental import disable_x64
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


def dual(name: str, dtype: str, path: str):
    """Return the jitted kernel function of one nonlinearity at variance 1, with its arguments in place."""
    rho = jnp.asarray(np.load(path).astype(dtype))
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
    return lambda: function(rho, ones, ones).block_until_ready()


def layer(width: int, rho: float, samples: int):
    """Return the Monte Carlo kernel of a layer without biases: E[u v], E[u²], E[v²] of two inputs of cosine `rho`.

    Built once: building it again would trace it again. In float32 and jitted as a whole, its fastest way.
    """
    init_fn, apply_fn, _ = stax.serial(stax.Dense(width, W_std=math.sqrt(2), b_std=None), stax.Relu())
    kernel_fn = neural_tangents.monte_carlo_kernel_fn(init_fn, apply_fn, jax.random.PRNGKey(0), samples)
    x = np.zeros((2, width), np.float32)
    x[:, 0] = 1, rho
    x[1, 1] = math.sqrt(1 - rho * rho)
    x *= math.sqrt(width)
    function = jax.jit(lambda x: kernel_fn(x, None, "nngp"))

    def call():
        with disable_x64():
            return function(x).block_until_ready()[np.array([0, 0, 1]), np.array([1, 0, 1])]

    return call


JOBS = {"dual": dual, "layer": layer}


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    ready = {}
    print(json.dumps({"jax": jax.__version__, "neural_tangents": neural_tangents.__version__}), flush=True)
    for line in sys.stdin:
        if line not in ready:
            request = json.loads(line)
            ready[line] = JOBS[request.pop("job")](**request)
            ready[line]()  # compiled
        start = time.process_time()
        values = ready[line]()
        seconds = time.process_time() - start
        first = np.asarray(values, dtype=np.float64).ravel()[:64]
        print(json.dumps({"seconds": seconds, "dtype": str(values.dtype), "values": first.tolist()}), flush=True)


if __name__ == "__main__":
    main()
