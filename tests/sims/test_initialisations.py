import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import ks_2samp, ortho_group

from sims._frame_kernels import fill_frame_cosines
from sims.initialisations import LAWS, sample_cosines_of_law, sample_orthogonal_cosines, sample_weights
from sims.relu_layer import sample_cosines


@pytest.mark.parametrize("rows", [5, 9])
def test_the_kernel_makes_its_normals_orthonormal(rows):
    """The same normals by NumPy's QR decomposition."""
    width, cosine, out = 5, 0.4, np.empty(40)
    fill_frame_cosines(np.random.default_rng(10), out, width, np.empty((rows, 2)), cosine)
    rng = np.random.default_rng(10)
    for found in out:
        frame, triangle = np.linalg.qr(rng.standard_normal((rows, 2)))
        frame = (frame * np.sign(np.diagonal(triangle)))[:width]
        x = np.maximum(frame[:, 0], 0)
        y = np.maximum(cosine * frame[:, 0] + np.sqrt(1 - cosine**2) * frame[:, 1], 0)
        norms = np.sqrt((x @ x) * (y @ y))
        assert_allclose(found, x @ y / norms if norms > 0 else np.nan, atol=1e-13)


@pytest.mark.parametrize("dim_in", [6, 12])
def test_frames_have_the_law_of_haar_matrices(dim_in):
    """The first rows of Haar matrices themselves, applied to two inputs."""
    width, cosine, n = 6, 0.4, 4000
    u, v = np.zeros((2, dim_in))
    u[0], v[:2] = 1.0, (cosine, np.sqrt(1 - cosine**2))
    matrices = ortho_group(dim_in, seed=1).rvs(n)[:, :width]
    x, y = np.maximum(matrices @ u, 0), np.maximum(matrices @ v, 0)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    direct = np.sum(x * y, axis=1)[norms > 0] / norms[norms > 0]
    fast = sample_orthogonal_cosines(cosine, width, n, dim_in=dim_in, rng=2)
    assert ks_2samp(direct, fast[np.isfinite(fast)]).pvalue > 1e-4
    if dim_in == width:  # where the Gaussian law is far enough to be told apart
        gaussian = sample_cosines(cosine, width, n, rng=3)
        assert ks_2samp(direct, gaussian[np.isfinite(gaussian)]).pvalue < 1e-4


def test_tall_matrices_are_like_square_ones():
    assert np.array_equal(
        sample_orthogonal_cosines(0.3, 16, 10, dim_in=4, rng=4), sample_orthogonal_cosines(0.3, 16, 10, rng=4)
    )


def test_workers_do_not_matter():
    one, two = (sample_orthogonal_cosines(0.3, 16, 200, rng=5, workers=w) for w in (1, 2))
    assert np.array_equal(one, two)


def test_normal_weights_have_the_law_of_the_reduced_sampler():
    cosines = sample_cosines_of_law([1.0, 0.0], [0.5, np.sqrt(0.75)], 16, 4000, law="normal", rng=6)
    assert ks_2samp(cosines, sample_cosines(0.5, 16, 4000, rng=7)).pvalue > 1e-4


@pytest.mark.parametrize("law", LAWS)
def test_samples_repeat_and_stay_in_range(law):
    u, v = np.random.default_rng(8).standard_normal((2, 5))
    one, two = (sample_cosines_of_law(u, v, 12, 50, law=law, rng=9) for _ in range(2))
    assert_allclose(one, two, rtol=0, atol=0, equal_nan=True)
    assert np.all((one >= 0) & (one <= 1 + 1e-12) | np.isnan(one))


def test_dead_layers_have_no_cosine():
    assert np.isnan(sample_cosines_of_law([1.0], [-1.0], 1, 4, law="rademacher", rng=0)).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"`law` must be one of normal, uniform, .* got 'cauchy'"):
        sample_weights("cauchy", (2,))
    with pytest.raises(ValueError, match="`width` must be at least 2, got 1"):
        sample_orthogonal_cosines(0.5, 1, 1)
    with pytest.raises(ValueError, match=r"`cosine` must lie in .*, got 2"):
        sample_orthogonal_cosines(2.0, 4, 1)
