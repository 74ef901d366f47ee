from __future__ import annotations

from collections.abc import Iterator

import pytest
from generations import GENERATIONS, Elder


@pytest.fixture(scope="module", params=GENERATIONS)
def elder(request: pytest.FixtureRequest) -> Iterator[Elder]:
    """Somebody whose server of one generation runs."""
    person = Elder("generations", "elder", 9899, cluster="hydra12", node="hydra12i.rzg.mpg.de")
    person.generation = GENERATIONS[request.param]
    person.verb("site.yml")
    yield person
    person.verb("playbooks/remove.yml", my_end_kernels=True)
