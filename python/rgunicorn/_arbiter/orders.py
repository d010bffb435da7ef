"""What hooks, threads and subclasses may ask of a running arbiter.

Its loop is native and decides alone what to fork, kill and bury. Whoever asks for something leaves an order,
which is a signal's number, and wakes the loop; what the loop does then is what it does on that signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, ClassVar, NoReturn

from rgunicorn.errors import HaltServer

if TYPE_CHECKING:
    from rgunicorn.glogging import Logger
    from rgunicorn.workers.base import Worker


class Orders:
    """The base of `Arbiter`. The loop calls `handle_<name>` for each signal; subclasses may override it."""

    SIGNALS: ClassVar[list[int]] = [
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
    ]
    SIG_NAMES: ClassVar[dict[int, str]] = {known: known.name[3:].lower() for known in signal.Signals}

    #: What Gunicorn's loop asks of itself and this one does not ask of Python: no subclass can change it.
    _NATIVE = (
        "kill_worker",
        "kill_workers",
        "manage_workers",
        "murder_workers",
        "reap_workers",
        "spawn_worker",
        "spawn_workers",
        "stop",
    )

    log: Logger
    pid: int | None
    master_name: str
    WORKERS: dict[int, Worker]

    def __init__(self) -> None:
        self._orders: deque[int] = deque()
        self._waker = -1
        self._over = False

    # Before there is a loop.

    def init_signals(self) -> None:
        """Until the loop takes over: signals that end a process end its start, the others do nothing."""
        self.log.close_on_exec()
        self.hold_signals(ignored=self.SIGNALS)

    def hold_signals(self, ignored: Iterable[int]) -> None:
        """Until others take over: signals that end a process end its start, `ignored` ones do nothing."""
        for number in ignored:
            signal.signal(number, _ignore)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._stop_starting)

    def _stop_starting(self, signum: int, frame: FrameType | None) -> NoReturn:
        # Not in a worker, nor in a process that a hook has forked.
        if os.getpid() == self.pid:
            self.log.info("Handling signal: %s", self.SIG_NAMES[signum])
            self.log.info("Shutting down: %s", self.master_name)
        sys.exit(0)

    # One for each signal.

    def handle_hup(self) -> None:
        """HUP: reads the configuration again and replaces the workers."""
        self.log.info("Hang up: %s", self.master_name)
        self.reload()

    def handle_term(self) -> None:
        """TERM: ends when the workers have finished what they do."""
        self._order(signal.SIGTERM)

    def handle_int(self) -> None:
        """INT: ends quickly."""
        self._order(signal.SIGINT)

    def handle_quit(self) -> None:
        """QUIT: ends quickly."""
        self._order(signal.SIGQUIT)

    def handle_ttin(self) -> None:
        """TTIN: one worker more."""
        self._order(signal.SIGTTIN)

    def handle_ttou(self) -> None:
        """TTOU: one worker less, but the last one stays."""
        self._order(signal.SIGTTOU)

    def handle_usr1(self) -> None:
        """USR1: reopens the log files, here and in the workers."""
        self._order(signal.SIGUSR1)

    def handle_usr2(self) -> None:
        """USR2: starts the program anew beside this one."""
        self._order(signal.SIGUSR2)

    def handle_winch(self) -> None:
        """WINCH: lets all workers leave, if the arbiter is a daemon."""
        self._order(signal.SIGWINCH)

    def handle_chld(self) -> None:
        """CHLD: a child has ended. The loop collects it, whatever this does."""

    def handle_cld(self) -> None:
        """CHLD by its other name."""
        self.handle_chld()

    # What else can be asked for.

    def reload(self) -> None:
        """Reads the configuration again and replaces the workers, as soon as the loop is back."""
        self._order(signal.SIGHUP)

    def reexec(self) -> None:
        """Starts the program anew beside this one, as soon as the loop is back."""
        self._order(signal.SIGUSR2)

    def stop(self, graceful: bool = True) -> None:
        """Ends the service as soon as the loop is back; `graceful`: after what the workers do now."""
        self._order(signal.SIGTERM if graceful else signal.SIGQUIT)

    def halt(self, reason: str | None = None, exit_status: int = 0) -> NoReturn:
        """Ends the service with this status, by an exception that the hook which calls this must let pass."""
        self._check_process("halt")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("halt() works in the main thread only; stop() works in all of them")
        raise HaltServer(reason, exit_status)

    def signal(self, sig: int, frame: FrameType | None = None) -> None:
        """Sends itself a signal."""
        self._check_process("signal")
        os.kill(os.getpid(), sig)

    def wakeup(self) -> None:
        """Makes the loop look at everything anew: the number of workers, who is late, who has ended."""
        if self._waker >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._waker, b"!")

    def manage_workers(self) -> None:
        """Forks missing workers and lets surplus ones go, as soon as the loop is back."""
        self._check_process("manage_workers")
        self.wakeup()

    def spawn_workers(self) -> None:
        """Forks missing workers, as soon as the loop is back."""
        self._check_process("spawn_workers")
        self.wakeup()

    def murder_workers(self) -> None:
        """Ends workers that are late, as soon as the loop is back."""
        self._check_process("murder_workers")
        self.wakeup()

    def reap_workers(self) -> None:
        """Buries workers that have ended, as soon as the loop is back."""
        self._check_process("reap_workers")
        self.wakeup()

    def spawn_worker(self) -> NoReturn:
        """Cannot be had: a worker is forked by the loop alone, when `num_workers` says so."""
        raise RuntimeError(
            "rgunicorn forks workers in its own loop: set num_workers instead of spawn_worker()"
        )

    def kill_worker(self, pid: int, sig: int) -> None:
        """Sends a signal to one worker."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)

    def kill_workers(self, sig: int) -> None:
        """Sends a signal to all workers."""
        for pid in list(self.WORKERS):
            self.kill_worker(pid, sig)

    # For the loop.

    def take_orders(self) -> list[int]:
        """The orders that have come since it was asked last, oldest first."""
        orders = []
        while self._orders:
            orders.append(self._orders.popleft())
        return orders

    def set_waker(self, fd: int) -> None:
        """From now on a byte written to `fd` wakes the loop; -1: there is none to wake."""
        self._waker = fd

    def _order(self, number: int) -> None:
        self._check_process(self.SIG_NAMES[number])
        self._orders.append(number)
        self.wakeup()

    def _check_process(self, what: str) -> None:
        if self.pid is not None and os.getpid() != self.pid:
            raise RuntimeError(f"{what}: this is process {os.getpid()}, the arbiter is {self.pid}")

    def _check_subclass(self) -> None:
        """Raises RuntimeError for what a subclass overrides in vain."""
        for name in self._NATIVE:
            if getattr(type(self), name) is not getattr(Orders, name):
                raise RuntimeError(
                    f"{type(self).__name__}.{name}: rgunicorn's loop does not call {name}, so overriding it "
                    "would have no effect"
                )


def _ignore(signum: int, frame: FrameType | None) -> None:
    """The handler of a signal that has no effect."""
