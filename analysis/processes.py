"""Work in processes that are forked from this one, so that they start at once with everything imported."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

T = TypeVar("T")
_FORK: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
FEW_JOBS = 20  # that one process does faster than others start, where they cannot be forked
_jobs: Sequence[Callable[[], Any]] = ()  # of a forked process


def forks() -> bool:
    """Return True if this process may be forked.

    That is so on Linux, as long as no other thread of Python runs: a lock that it holds would stay locked in the copy.
    The threads of BLAS and of Arrow are started again there by the libraries themselves. On macOS, libraries of the
    system do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1


class Companion:
    """A process beside this one, which keeps what it imports; without forks, this process does its work.

    It is a context, at whose end the process ends.

    >>> with Companion() as companion:
    ...     companion.begin(divmod, 7, 3)
    ...     companion.result(), companion.call(divmod, 8, 3)
    ((2, 1), (2, 2))
    """

    def __init__(self) -> None:
        self._process: ForkProcess | None = None
        self._waiting: Callable[[], Any] | None = None

    def __enter__(self) -> Companion:
        if forks():
            self._pipe, other = multiprocessing.Pipe()
            self._process = _FORK.Process(target=_serve, args=(other, self._pipe))
            with _quietly():
                self._process.start()
            other.close()
        return self

    def __exit__(self, *failure: object) -> None:
        if self._process is not None:
            with suppress(OSError):  # it has ended already
                self._pipe.send(None)
            self._pipe.close()
            self._process.join()

    def begin(self, function: Callable[..., Any], *arguments: object) -> None:
        """Begin to call a function; without forks it is called when the result is asked for.

        function: of a module, without lambdas in its arguments or results: they are sent.
        arguments: of the function.
        """
        if self._process is None:
            self._waiting = partial(function, *arguments)
        else:
            self._pipe.send((function, arguments))

    def result(self) -> Any:
        """Return the result of the call that has begun, or raise what it raised."""
        if self._waiting is not None:
            return self._waiting()
        try:
            failed, value = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise RuntimeError("the process that reads the study has ended") from None
        if failed:
            raise value
        return value

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Begin to call a function, and return its result."""
        self.begin(function, *arguments)
        result: T = self.result()
        return result


def _serve(pipe: Connection, other: Connection) -> None:
    """Answer the calls of a companion until it says that there are no more, or ends."""
    other.close()
    with suppress(EOFError, KeyboardInterrupt):
        while call := pipe.recv():
            function, arguments = call
            try:
                answer = (False, function(*arguments))
            except Exception as error:
                answer = (True, error)
            pipe.send(answer)


def shared(jobs: Sequence[Callable[[], T]], workers: int) -> Iterator[T]:
    """Yield the results of jobs in their order; processes share the jobs where that pays.

    They are forked from this one where that can be done. Where it cannot, others are started, which takes seconds, for
    more than twenty jobs, and this process does fewer.

    jobs: functions without arguments. What they return or raise must be picklable; they themselves need not be, unless
        processes must be started.
    workers: number of processes.

    >>> list(shared([partial(divmod, 7, 3), partial(divmod, 8, 3)], workers=2))
    [(2, 1), (2, 2)]
    """
    if min(workers, len(jobs)) <= 1 or not (forks() or len(jobs) > FEW_JOBS):
        yield from (job() for job in jobs)
        return
    if not forks():
        from joblib import Parallel, delayed

        yield from Parallel(n_jobs=workers, return_as="generator")([delayed(job)() for job in jobs])
        return
    with _pool(min(workers, len(jobs)), jobs) as pool:
        results = [_submit(pool, number) for number in range(len(jobs))]
        try:
            for result in results:
                yield result.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after a mistake nobody waits for the rest


def _pool(workers: int, jobs: Sequence[Callable[[], Any]]) -> ProcessPoolExecutor:
    # the jobs are not sent: a forked process has them already
    return ProcessPoolExecutor(workers, _FORK, _begin, (jobs,))


def _submit(pool: ProcessPoolExecutor, number: int) -> Future[Any]:
    with _quietly():
        return pool.submit(_run, number)


@contextmanager
def _quietly() -> Iterator[None]:
    """Python 3.12 warns of forks beside any thread, those of BLAS included; see `forks`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def _begin(jobs: Sequence[Callable[[], Any]]) -> None:
    global _jobs
    _jobs = jobs
    gc.freeze()  # what was imported before is never garbage here


def _run(number: int) -> Any:
    return _jobs[number]()
