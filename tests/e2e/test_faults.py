"""The clients in a real browser, while their connections are cut and the gateway is killed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.faults.conftest import GENEROUS
from tests.faults.load import Publisher, kill_points, killing, log_of
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import random_schedule
from tests.support.gateway import Gateway, wait_until

PAGE = (Path(__file__).parent / "pages" / "numbered.py").read_text()
UP = 1_000
DOWN = 1_000
CUTS = 12
KILLS = 2


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "data", **GENEROUS) as gateway:
        yield gateway


def heard(page: Page) -> dict[str, list[Any]]:
    answer: dict[str, list[Any]] = json.loads(page.evaluate("window.hear()"))
    return answer


def ids(gateway: Gateway, kind: str) -> list[str]:
    return [event_id for event_id, _ in log_of(gateway.data_dir, kind)]


@pytest.mark.parametrize("background", [False, True], ids=["on the page", "in a worker"])
def test_none_is_lost_none_comes_twice_all_in_order(
    page: Page, gateway: Gateway, complaints: list[str], background: bool
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    page.add_init_script(f"window.numbered = [{UP}, {str(background).lower()}]")
    page.context.route("**/main.py", lambda route: route.fulfill(body=PAGE))
    bodies = ({"userName": "Ada", "action": "wrote", "target": f"down {n}"} for n in range(DOWN))
    with FaultProxy(gateway.port, seed=seed) as proxy:
        page.goto(proxy.url)
        page.wait_for_function("window.state && JSON.parse(window.state).ready")
        with (
            Publisher(gateway, "/api/activities", bodies) as publisher,
            killing(
                gateway,
                lambda: len(publisher.created),
                kill_points(seed, KILLS, among=DOWN),
            ) as killed,
        ):
            faults = proxy.run(random_schedule(seed, CUTS, messages=UP + DOWN))
            page.wait_for_function("JSON.parse(window.state).answers", timeout=60_000)
            wait_until(lambda: publisher.is_done and faults.done(), deadline=60)
            faults.result()
        assert len(killed) == KILLS
        expected = {kind: ids(gateway, kind) for kind in ("notification", "activity")}
        wait_until(
            lambda: all(heard(page)[kind][-1:] == expected[kind][-1:] for kind in expected),
            deadline=30,
        )
    assert heard(page) == {**expected, "reset": []}
    log = log_of(gateway.data_dir, "notification")
    assert [payload["title"] for _, payload in log] == [f"up {n}" for n in range(UP)]
    answers = json.loads(page.evaluate("window.state"))["answers"]
    assert answers == [event_id for event_id, _ in log][::2]
    complaints.clear()
