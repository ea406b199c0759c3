"""One thread each: linear algebra in the threads of another library would be timed as ours."""

import pytest
from threadpoolctl import threadpool_limits

collect_ignore = ["peers/neural_tangents_worker.py"]  # of another environment; doctests would import it


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    with threadpool_limits(1):
        yield
