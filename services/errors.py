"""Every exception the services raise.

* :exc:`RealtimeError`
    * :exc:`ConfigurationError` (also ``ValueError``): an option or a configured value is wrong
    * :exc:`InvalidTransition` (also ``RuntimeError``): an event in a state that cannot have it
    * :exc:`InvalidFrame` (also ``ValueError``): data that is not a message of ours
    * :exc:`InvalidEdit` (also ``ValueError``): an edit that the document's text cannot have
    * :exc:`StorageFailed` (also ``OSError``): the browser cannot keep a document
    * :exc:`NotCloneable` (also ``TypeError``): a payload that cannot go to another tab
    * :exc:`ConnectionFailed` (also ``ConnectionError``): an attempt to connect failed
        * :exc:`ConnectTimeout` (also ``TimeoutError``): … because nothing answered in time
    * :exc:`Disconnected` (also ``ConnectionError``): closed for good while one was waiting
    * :exc:`QueueFull`: too many messages wait to be sent
    * :exc:`RequestFailed`
        * :exc:`RequestTimeout` (also ``TimeoutError``): no answer in time
        * :exc:`RequestRejected`: the server answered no
        * :exc:`HTTPFailed`: an HTTP answer other than 2xx
        * :exc:`InvalidAnswer`: an HTTP answer of another shape than agreed
    * :exc:`NotTransferable` (also ``TypeError``): data that cannot go to a worker or come from one
    * :exc:`WorkerError`: a call to a worker brought no result: its operation raised, or …
        * :exc:`InvalidCall` (also ``ValueError``): … the operation, an option or a field is unknown
        * :exc:`WorkerTimeout` (also ``TimeoutError``): … there was no result in time
        * :exc:`WorkerStartFailed`: … the worker's file or its packages cannot be loaded
        * :exc:`WorkerCrashed`: … the worker died
            * :exc:`WorkerHung`: … or gave no sign of life
        * :exc:`WorkerTerminated`: … the manager was told to terminate
        * :exc:`DatasetLost`: … the dataset went with its worker, or was released
"""

# ruff: noqa: N818 - the names say what happened, as those of python-websockets do


class RealtimeError(Exception):
    """Base of everything the services raise."""


class ConfigurationError(RealtimeError, ValueError):
    """An option or a configured value is wrong; says what was expected and what came."""


class InvalidTransition(RealtimeError, RuntimeError):
    """A protocol was told of an event that its state cannot have: a fault in the caller."""

    def __init__(self, event: str, state: str, *expected: str) -> None:
        super().__init__(f"{event}: expected state {' or '.join(expected)}, came in state {state}")


class InvalidFrame(RealtimeError, ValueError):
    """Data that is not a message of ours; says what was expected and what came."""


class InvalidEdit(RealtimeError, ValueError):
    """An edit that the text cannot have; says what was expected and what came."""


class StorageFailed(RealtimeError, OSError):
    """The browser denies storage, or it is full or broken: a document cannot be kept there."""


class NotCloneable(RealtimeError, TypeError):
    """A payload that cannot go to another tab; says what was expected and what came."""


class ConnectionFailed(RealtimeError, ConnectionError):
    """An attempt to connect failed. `code` and `reason` are the close frame's, if there was one."""

    def __init__(self, message: str, code: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class ConnectTimeout(ConnectionFailed, TimeoutError):
    """An attempt to connect was given up because nothing answered in time."""


class Disconnected(RealtimeError, ConnectionError):
    """The connection was closed for good while one was waiting for it."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"disconnected: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class QueueFull(RealtimeError):
    """As many messages as `queue_limit` allows wait to be sent; this one was not taken."""


class RequestFailed(RealtimeError):
    """A request got no answer, or a bad one."""


class RequestTimeout(RequestFailed, TimeoutError):
    """No answer came in time; the server may or may not have acted."""


class RequestRejected(RequestFailed):
    """The server answered with `nack`; `error` is its reason as it came."""

    def __init__(self, error: object) -> None:
        super().__init__(f"rejected: {error}")
        self.error = error


class HTTPFailed(RequestFailed):
    """An HTTP answer other than 2xx; `message` is the server's, from the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
        self.message = message


class InvalidAnswer(RequestFailed):
    """An HTTP answer of another shape than agreed; says what was expected and what came."""


class NotTransferable(RealtimeError, TypeError):
    """Data that cannot go to a worker or come from one; says what was expected and what came."""


class WorkerError(RealtimeError):
    """A call to a worker brought no result.

    `type` is the name of the exception's class as the worker has it, `message` its text, and
    `traceback` where it came from in the worker ("" where there is no such place).
    """

    def __init__(self, message: str, type: str = "", traceback: str = "") -> None:
        super().__init__(f"{type}: {message}" if type and message else type or message)
        self.type = type or self.__class__.__name__
        self.message = message
        self.traceback = traceback
        if traceback:
            self.add_note(traceback.rstrip())


class InvalidCall(WorkerError, ValueError):
    """An operation, an option or a field that there is not; says which there are."""


class WorkerTimeout(WorkerError, TimeoutError):
    """No result came in time. What the worker was doing is stopped."""


class WorkerStartFailed(WorkerError):
    """The worker's file or its packages cannot be loaded; the next call tries again."""


class WorkerCrashed(WorkerError):
    """The worker died while it had the call. Another takes its place."""


class WorkerHung(WorkerCrashed):
    """The worker gave no sign of life for `heartbeat_timeout`. Another takes its place."""


class WorkerTerminated(WorkerError):
    """The manager was told to terminate, now or before."""


class DatasetLost(WorkerError):
    """The dataset is gone: it was released, or its worker had to be replaced. Load it again."""
