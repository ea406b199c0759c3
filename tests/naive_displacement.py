"""Slow oracle for `conetheory.displacement`: the loss of displaced texts, derived by mpmath at 40 digits."""

import mpmath as mp


def symmetric_loss(images, placed, scale):
    """Symmetric cross-entropy of image i with row i of `placed`, both lists of rows of mpmath numbers."""
    n = len(images)
    cosines = [[mp.fdot(image, text) for text in placed] for image in images]
    total = mp.mpf(0)
    for i in range(n):
        total += mp.log(sum(mp.exp(scale * (cosines[i][j] - cosines[i][i])) for j in range(n)))
        total += mp.log(sum(mp.exp(scale * (cosines[j][i] - cosines[i][i])) for j in range(n)))
    return total / (2 * n)


def derivatives(images, displaced, scale):
    """First and second derivative by t, at 0, of the loss with the texts ``displaced(t)``."""
    with mp.workdps(40):
        images = [_unit(row) for row in images]

        def loss(t):
            return symmetric_loss(images, displaced(t), scale)

        return mp.diff(loss, 0, 1), mp.diff(loss, 0, 2)


def rotated(texts, generator):
    """Function of t: every text times the exponential of t times the generator."""

    def at(t):
        turn = mp.expm(mp.matrix(generator.tolist()) * t)
        return [list(turn * mp.matrix(_unit(row))) for row in texts]

    return at


def translated(texts, vector):
    """Function of t: t times the vector added to every text, normalised."""

    def at(t):
        return [_unit([a + t * b for a, b in zip(_unit(row), map(mp.mpf, vector), strict=True)]) for row in texts]

    return at


def _unit(row):
    row = [mp.mpf(x) for x in row]
    norm = mp.sqrt(mp.fdot(row, row))
    return [x / norm for x in row]
