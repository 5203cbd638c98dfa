"""A cell whose step never ends, in all the ways there are, or that finds no memory."""

import ctypes
import threading
import time

from variants.cells.lstm import Vanilla


class Endless(Vanilla):
    """how: lock (waits for itself), sleep (in C, without Python's global lock), held (in C, with it), slow (each step),
    memory (none).
    """

    def __init__(self, *, how: str = "lock") -> None:
        super().__init__()
        self.how = how

    def step(self, a, s, p):
        if self.how == "lock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        elif self.how == "sleep":
            ctypes.CDLL(None).sleep(1000)
        elif self.how == "held":
            ctypes.PyDLL(None).sleep(1000)
        elif self.how == "slow":
            time.sleep(0.1)
        elif self.how == "memory":
            raise MemoryError("none left")
        return super().step(a, s, p)
