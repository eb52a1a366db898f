from __future__ import annotations

from services.driver import Driver


class Protocol:
    def __init__(self):
        self.deadline = None
        self.is_active = True
        self.lateness = []

    def timer(self, now, late=0.0):
        self.lateness.append(late)
        self.deadline = None
        return []

    def unwatched(self):
        self.is_unwatched = True

    def __getattr__(self, name):
        return lambda now, *details: [(name, *details)]


def test_actions_of_an_action_come_after_those_under_way(platform):
    done = []

    def perform(action):
        done.append(action)
        if action == 1:
            driver.run([3])
        if action == 3:
            raise RuntimeError("three")

    driver = Driver(platform, Protocol(), perform)
    driver.run([1, 2])
    driver.run([4])
    assert done == [1, 2, 3, 4]
    assert [str(error) for error in platform.reported] == ["three"]


def test_there_is_one_timer_and_it_follows_the_deadline(platform):
    protocol = Protocol()
    driver = Driver(platform, protocol, print)
    for deadline in (1010.0, 1010.0, 1005.0, None, 1020.0):
        protocol.deadline = deadline
        driver.run([])
        assert platform.timers == (deadline is not None)
    platform.advance(20)
    assert protocol.lateness == [0.0]
    assert platform.timers == 0


def test_lateness_is_by_the_worse_of_two_clocks(platform):
    protocol = Protocol()
    driver = Driver(platform, protocol, print)
    protocol.deadline = 1010.0
    driver.run([])
    platform.sleep(500, monotonic=False)
    platform.advance(10)
    protocol.deadline = 1020.0
    driver.run([])
    platform.sleep(100)
    assert protocol.lateness == [500.0, 90.0]


def test_the_browser_matters_while_the_protocol_is_active(platform):
    done = []
    protocol = Protocol()
    driver = Driver(platform, protocol, done.append)
    driver.run([])
    driver.run([])
    assert platform.watchers == 1
    for event in ("online", "offline", "hidden", "visible", "returned"):
        platform.fire(event)
    platform.fire("left", False)
    platform.fire("left", True)
    assert done == [
        ("online",),
        ("offline",),
        ("hidden",),
        ("visible",),
        ("come_back",),
        ("leave",),
    ]
    protocol.is_active = False
    driver.run([])
    assert platform.watchers == 0
    assert protocol.is_unwatched


def test_a_page_that_nobody_sees_from_the_start(platform):
    done = []
    platform.is_visible = False
    Driver(platform, Protocol(), done.append).run([1])
    assert done == [1, ("hidden",)]


def test_settled_follows_each_run(platform):
    done = []
    driver = Driver(platform, Protocol(), done.append, lambda: done.append("settled"))
    driver.run([1, 2])
    assert done == [1, 2, "settled"]
