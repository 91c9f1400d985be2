"""Every capability switched on at once, in an environment that was running without them."""

from __future__ import annotations

import uuid

from shared.capabilities import CAPABILITIES
from stacks.catalogue import graph_of, spec_of
from tests.integration.conftest import Deployment


def test_every_output_of_every_capability_is_published_with_a_real_value(full: Deployment) -> None:
    """OPT-01 to OPT-08, LAY-02: `<stack>.<output>`, real values, in every region."""
    assert full.environment.capabilities == set(CAPABILITIES)
    outputs = full.outputs
    wanted = {
        f"{stack}.{output}"
        for stack in graph_of(full.environment).order
        for output in spec_of(stack.name).outputs(full.environment.capabilities)
    }
    assert set(outputs) == wanted
    assert not [name for name, value in outputs.items() if value is None or "${" in str(value)]


def test_nothing_is_left_to_change_with_everything_on(full: Deployment) -> None:
    """OPT-01 to OPT-08: a second plan is empty for every stack."""
    run = full.run("diff")
    assert run.returncode == 0, run.stdout[-4000:]


def test_payments_settle_as_before(full: Deployment) -> None:
    """What is optional takes nothing from what is not."""
    for region in full.regions:
        api = full.api(region)
        payment_id = api.pay(f"full-{uuid.uuid4()}").json()["payment_id"]
        assert api.final(payment_id)["status"] == "SETTLED"
