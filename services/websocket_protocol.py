"""The protocol of a client that sends and receives messages: a connection and its `Session`."""

from __future__ import annotations

from collections.abc import Callable

from .messages import Id, Message
from .socket_protocol import Actions, SocketProtocol, State
from .websocket_options import WebSocketOptions
from .websocket_session import Session

__all__ = ["State", "WebSocketProtocol"]


class WebSocketProtocol(SocketProtocol[Session]):
    """The state machine of one client.

    `random` returns a number in [0, 1), `time_ms` the wall clock for the timestamps of frames,
    `new_id` an id nobody else uses.
    """

    def __init__(
        self,
        options: WebSocketOptions,
        *,
        asks: bool = False,
        random: Callable[[], float],
        time_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        super().__init__(options, Session(options, time_ms, new_id), asks=asks, random=random)

    def send(self, message: Message, deadline: float | None = None) -> Actions:
        """Send now or queue. One with an id is sent again until its ack, or until `deadline`.

        Raises InvalidFrame or QueueFull, and changes nothing then.
        """
        return self.session.send(message, deadline, is_open=self.state is State.OPEN)

    def send_volatile(self, message: Message) -> Actions:
        """Send now or never. Raises InvalidFrame."""
        return self.session.send_volatile(message, is_open=self.state is State.OPEN)

    def forward(self, text: str) -> Actions:
        """Pass on a frame that somebody else keeps and sends again. Raises QueueFull."""
        return self.session.forward(text, is_open=self.state is State.OPEN)

    def withdraw(self, message_id: Id) -> None:
        """Do not send it again: nobody waits for the answer any more."""
        self.session.outbox.remove(message_id)
