"""Compiled loops behind `sims.initialisations`: no validation, no printing."""

import math

import numpy as np
from numba import njit

__all__ = ["fill_frame_cosines"]


@njit(nogil=True, error_model="numpy", cache=True)
def fill_frame_cosines(stream, out, width, frame, cosine):
    """Fill `out` with cosines after the first `width` rows of a Haar frame of len(`frame`) rows; NaN where undefined.

    The two columns of `frame` are room for normals, made orthonormal by Gram and Schmidt.
    """
    sine = math.sqrt((1 - cosine) * (1 + cosine))
    for i in range(out.size):
        aa = ab = bb = 0.0
        for k in range(len(frame)):
            a, b = stream.standard_normal(), stream.standard_normal()
            frame[k, 0], frame[k, 1] = a, b
            aa += a * a
            ab += a * b
            bb += b * b
        along = ab / aa
        first, second = 1 / math.sqrt(aa), 1 / math.sqrt(bb - ab * along)
        uv = uu = vv = 0.0
        for k in range(width):
            u = frame[k, 0] * first
            v = max(cosine * u + sine * second * (frame[k, 1] - along * frame[k, 0]), 0.0)
            u = max(u, 0.0)
            uv += u * v
            uu += u * u
            vv += v * v
        out[i] = uv / math.sqrt(uu * vv) if uu > 0 and vv > 0 else np.nan
