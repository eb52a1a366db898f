"""Documents that several write at once, while connections are cut and the gateway is killed."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.document import DocumentSession
from tests.faults.load import kill_points, killing, until
from tests.support.fault_proxy import FaultProxy
from tests.support.fault_schedule import Direction, How, Schedule, Step, Truncate, random_schedule
from tests.support.gateway import Gateway
from tests.support.socket_platform import socket_platform

DOCUMENT = "notes"

#: Characters that each author writes, each of them once in all the world.
CHARACTERS = 800

#: One in so many edits takes one's own latest character away again.
REGRET = 10

FIRST = 0x4E00

CUTS = 30
KILLS = 4


class Author:
    """Writes characters that nobody else writes, and remembers which it has taken back."""

    def __init__(self, session: DocumentSession, number: int, seed: int) -> None:
        self.session = session
        self.kept: list[str] = []
        self._alphabet = [chr(FIRST + CHARACTERS * number + n) for n in range(CHARACTERS)]
        self._rng = random.Random(f"{seed} {number}")

    async def write(self) -> None:
        """Write all, in bursts, wherever."""
        for character in self._alphabet:
            text = self.session.text
            if self.kept and self._rng.randrange(REGRET) == 0:
                at = text.index(self.kept.pop())
                self.session.delete(at, 1)
                text = self.session.text
            self.session.insert(self._rng.randint(0, len(text)), character)
            self.kept.append(character)
            if self._rng.randrange(8) == 0:
                await asyncio.sleep(self._rng.uniform(0, 0.02))


@asynccontextmanager
async def joined(url: str, count: int, seed: int) -> AsyncIterator[list[DocumentSession]]:
    """Join the document from so many browsers."""
    async with AsyncExitStack() as stack:
        sessions = []
        for number in range(count):
            platform = await stack.enter_async_context(socket_platform(url, seed=seed + number))
            session = DocumentSession(
                DOCUMENT,
                user={"id": f"u{number}", "name": f"User {number}"},
                reconnect_interval=0.01,
                reconnect_interval_max=0.2,
                heartbeat_interval=0.5,
                heartbeat_timeout=0.5,
                connect_timeout=2,
                max_reconnect_attempts=None,
                platform=platform,
            )
            stack.callback(session.leave)
            await session.join()
            sessions.append(session)
        yield sessions


def content(gateway: Gateway) -> str:
    text: str = gateway.get(f"api/documents/{DOCUMENT}").json()["content"]
    return text


def is_whole(gateway: Gateway, sessions: list[DocumentSession]) -> bool:
    """Tell whether everybody says that all is in step, and it is."""
    are_synced = all(session.synced for session in sessions)
    return are_synced and {session.text for session in sessions} == {content(gateway)}


async def all_write(sessions: list[DocumentSession], seed: int) -> list[str]:
    """Let everybody write at once; return the characters that are to remain, sorted."""
    authors = [Author(session, number, seed) for number, session in enumerate(sessions)]
    await asyncio.gather(*(author.write() for author in authors))
    return sorted(character for author in authors for character in author.kept)


@pytest.mark.parametrize("count", [2, 4])
def test_all_end_alike_and_every_character_is_there_once(
    gateway: Gateway, proxy: FaultProxy, seed: int, count: int
) -> None:
    async def main() -> None:
        async with joined(proxy.url, count, seed) as sessions:
            await until(lambda: all(session.synced for session in sessions))
            faults = proxy.run(random_schedule(seed, CUTS, messages=CHARACTERS // 2))
            kills = kill_points(seed, KILLS, among=count * CHARACTERS * 2 // 3)
            with killing(gateway, lambda: len(sessions[0].text), kills):
                expected = await all_write(sessions, seed)
                # What is left of the schedule counts messages: these make some.
                while not faults.done():
                    sessions[0].set_user({"id": "u0", "name": f"{random.random()}"})
                    await asyncio.sleep(0.02)
                faults.result()
            await until(lambda: is_whole(gateway, sessions), deadline=60)
            assert sorted(content(gateway)) == expected
            assert all(session.unsynced_changes == 0 for session in sessions)
            await until(lambda: all(len(s.collaborators) == count - 1 for s in sessions))

    asyncio.run(main())


def test_what_was_confirmed_is_in_a_gateway_that_is_killed(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    """At whatever moment: nothing but its storage is left of it."""

    async def main() -> None:
        rng = random.Random(seed)
        written: list[list[str]] = [[], []]
        confirmed = 0

        async def write(number: int, session: DocumentSession, round_: int) -> None:
            for n in range(60):
                character = chr(FIRST + number * 4000 + round_ * 100 + n)
                session.insert(len(session.text), character)
                written[number].append(character)
                await asyncio.sleep(0.01)

        async with joined(proxy.url, 2, seed) as sessions:
            for round_ in range(KILLS):
                writing = asyncio.gather(
                    *(write(number, session, round_) for number, session in enumerate(sessions))
                )
                await asyncio.sleep(rng.uniform(0.2, 0.6))
                safe = [
                    character
                    for session, mine in zip(sessions, written, strict=True)
                    for character in mine[: len(mine) - session.unsynced_changes]
                ]
                for session in sessions:
                    session.pause()
                await asyncio.to_thread(gateway.kill)
                await asyncio.to_thread(gateway.start)
                # Nobody has come back to tell it again.
                assert set(safe) <= set(content(gateway))
                confirmed += len(safe)
                for session in sessions:
                    session.unpause()
                await writing
            await until(lambda: is_whole(gateway, sessions))
            assert sorted(content(gateway)) == sorted([*written[0], *written[1]])
        assert confirmed > 60

    asyncio.run(main())


def test_a_dead_connection_is_found_out_and_loses_nothing(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    """Bytes are swallowed on the way out, on the way back, or both, and nobody is told."""

    async def main() -> None:
        async with joined(proxy.url, 2, seed) as sessions:
            await until(lambda: all(session.synced for session in sessions))
            expected = ""
            for number, way in enumerate(
                (Direction.TO_GATEWAY, Direction.TO_CLIENT, Direction.BOTH)
            ):
                proxy.half_open(way)
                for session, letter in zip(sessions, "ab", strict=True):
                    text = f"{letter}{number} "
                    session.insert(0, text)
                    expected += text
                    assert not session.synced
                await until(lambda: is_whole(gateway, sessions))
            assert sorted(content(gateway)) == sorted(expected)

    asyncio.run(main())


def test_a_long_text_arrives_over_a_network_that_breaks_at_any_byte(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    rng = random.Random(seed)
    schedule: Schedule = [
        Step(0, Truncate(way, how))
        for way in (Direction.TO_GATEWAY, Direction.TO_CLIENT)
        for how in rng.sample([*How, *How, *How], 4)
    ]
    text = "".join(chr(rng.randrange(0x20, 0x3000)) for _ in range(200_000))

    async def main() -> None:
        async with joined(proxy.url, 2, seed) as (one, other):
            faults = proxy.run(schedule)
            one.insert(0, text)
            other.insert(0, "§")
            await until(lambda: is_whole(gateway, [one, other]))
            faults.cancel()
            assert proxy.truncations > 2
            assert content(gateway) in (text + "§", "§" + text)

    asyncio.run(main())


def test_a_slow_network_keeps_everybody_in_step(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    async def main() -> None:
        async with joined(proxy.url, 3, seed) as sessions:
            await until(lambda: all(session.synced for session in sessions))
            proxy.delay(0.1, 0.1)
            expected = await all_write(sessions, seed)
            await until(lambda: is_whole(gateway, sessions))
            assert sorted(content(gateway)) == expected
            proxy.delay(0)

    asyncio.run(main())


def test_the_gateway_says_goodbye_and_keeps_what_it_has_read(
    gateway: Gateway, proxy: FaultProxy, seed: int
) -> None:
    """SIGTERM while everybody writes: what was called synced is there, the rest comes again."""

    async def main() -> None:
        async with joined(proxy.url, 3, seed) as sessions:
            restarts = threading.Thread(target=restart, args=(gateway,))
            writing = asyncio.create_task(all_write(sessions, seed))
            await asyncio.sleep(0.3)
            restarts.start()
            expected = await writing
            await asyncio.to_thread(restarts.join)
            await until(lambda: is_whole(gateway, sessions))
            assert sorted(content(gateway)) == expected

    asyncio.run(main())


def restart(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.stop()
        gateway.start()
