"""The amending rotation against conetheory's Procrustes rotation, and what it does to the gap."""

import numpy as np
import pytest

from conetheory.gap import gap_norm, gap_vector, procrustes_rotation

torch = pytest.importorskip("torch", reason="the rotation is torch's: pip install 'conetheory[empirical]'")

from empirical.initialisation import FrozenRotation, amending_rotation  # noqa: E402
from tests.empirical.torch_pairs import pairs, unit_rows  # noqa: E402


def test_it_is_the_procrustes_rotation_of_conetheory():
    x, y = pairs(50, 8, 1, shift=1.0)
    found = amending_rotation(x, 3 * y)
    np.testing.assert_allclose(found.numpy(), procrustes_rotation(y.numpy(), x.numpy()), atol=1e-10)
    torch.testing.assert_close(found.T @ found, torch.eye(8, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(amending_rotation(x.float(), y.float()), found, rtol=0, atol=1e-5)


def test_a_rotated_copy_is_turned_back():
    x = unit_rows(60, 6, 2, shift=2.0)
    turned = x @ torch.linalg.qr(unit_rows(6, 6, 3)).Q
    assert gap_norm(x.numpy(), turned.numpy()) > 0.5
    back = turned @ amending_rotation(x, turned)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-12)


def test_no_orthogonal_matrix_is_closer():
    x, y = pairs(40, 5, 4, shift=0.7)
    best = torch.linalg.matrix_norm(y @ amending_rotation(x, y) - x)
    for seed in range(20):
        other = torch.linalg.qr(unit_rows(5, 5, seed)).Q
        assert torch.linalg.matrix_norm(y @ other - x) > best
    assert torch.linalg.matrix_norm(y - x) > best


def test_a_translation_leaves_a_part_of_the_gap():
    x, y = pairs(300, 16, 5, matched=0.5, shift=1.0)
    gaps = []
    for part in (0.0, 0.1, 0.3):
        turned = y @ amending_rotation(x, y, translation=part)
        gaps.append(gap_norm(x.numpy(), turned.numpy()))
    assert gaps[0] < gaps[1] < gaps[2] < np.linalg.norm(gap_vector(x.numpy(), y.numpy()))
    moved = x - 0.3 * (x.mean(0) - y.mean(0))
    left, _, right = np.linalg.svd((y.T @ moved).numpy())
    np.testing.assert_allclose(amending_rotation(x, y, translation=0.3).numpy(), left @ right, atol=1e-10)


def test_the_frozen_rotation_is_kept_and_not_trained():
    x, y = pairs(50, 8, 6)
    found = FrozenRotation(amending_rotation(x, y))
    assert list(found.parameters()) == []
    rows = y.float().requires_grad_()
    turned = found(rows)
    torch.testing.assert_close(turned.norm(dim=1), torch.ones(50), rtol=0, atol=1e-5)
    turned.sum().backward()
    torch.testing.assert_close(rows.grad, found.rotation.sum(dim=1).expand(50, 8))
    other = FrozenRotation(torch.eye(8))
    other.load_state_dict(found.state_dict())
    assert torch.equal(other(rows), turned)
    assert found(y.bfloat16()).dtype == torch.bfloat16


def test_bad_input_is_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"`y` must have no zero row, got norm 0 in row 2"):
        amending_rotation(x, torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    with pytest.raises(ValueError, match=r"`translation` must be finite, got nan"):
        amending_rotation(x, x, translation=float("nan"))
    with pytest.raises(ValueError, match=r"`rotation` must have shape \(d, d\), got \(2, 3\)"):
        FrozenRotation(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"`rotation` must be orthogonal, got an error of 3"):
        FrozenRotation(2 * torch.eye(3))
