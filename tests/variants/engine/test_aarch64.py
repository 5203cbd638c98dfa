"""Kernels as an ARM processor of 64 bits runs them: compiled for it, run under an emulator, held against this machine.

Every call of a kernel on this machine is written down: its table of arguments, and all the memory that this points to,
before and after the call. A C program for aarch64 puts the same memory into arrays of its own, each between two pages
that nobody may touch, calls the same kernel, compiled for aarch64, and writes the memory back.

Debian: `apt install qemu-user gcc-aarch64-linux-gnu`.
"""

import ctypes
import gc
import shutil
import struct
import subprocess
from functools import partial
from typing import NamedTuple

import pytest
import torch
from llvmlite import binding as llvm
from torch import Tensor

from tests.variants.cases import INPUTS, REGISTERED, B, T, fill, fitting, generator
from variants import Recurrent
from variants.engine import fused
from variants.engine.cpu import emit, machine, product

TOLERANCE = 1e-5
WIDTHS = (5, 27, 32)
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
LEAST_ADDRESS = 2**20  # what is larger in a table of arguments is no size or stride

pytestmark = pytest.mark.slow

# {declarations}, {kernels} and {functions} name what was compiled for aarch64. A job is read as 64-bit integers: its
# kernel, number of arrays, number of arguments, and for each argument its kind, which function or array it is, and a
# number or an offset. Then come the arrays: length and bytes.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { NUMBER, FUNCTION, ADDRESS };
enum { PAGE = 4096, LINE = 64, MOST = 64 };

{declarations}
static void (*kernels[])(int64_t *) = { {kernels} };
static void *functions[] = { {functions} };
static FILE *jobs;

static int64_t number(void) {
  int64_t value;
  if (fread(&value, sizeof value, 1, jobs) != 1) exit(2);
  return value;
}

/* An array that ends within a cache line of a page that cannot be read. */
static char *room(int64_t length) {
  int64_t whole = (length + LINE - 1) / LINE * LINE, pages = (whole + PAGE - 1) / PAGE * PAGE;
  char *start = mmap(0, pages + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED || mprotect(start + PAGE, pages, PROT_READ | PROT_WRITE)) exit(3);
  return start + PAGE + pages - whole;
}

int main(int count, char **names) {
  FILE *results = fopen(names[2], "wb");
  jobs = fopen(names[1], "rb");
  for (int64_t left = number(); left > 0; left--) {
    int64_t kernel = number(), arrays = number(), slots = number();
    int64_t *slot = malloc(3 * slots * sizeof *slot), *table = malloc(slots * sizeof *table), lengths[MOST];
    char *array[MOST];
    if (arrays > MOST) exit(4);
    for (int64_t k = 0; k < 3 * slots; k++) slot[k] = number();
    for (int64_t k = 0; k < arrays; k++) {
      array[k] = room(lengths[k] = number());
      if (fread(array[k], 1, lengths[k], jobs) != (size_t)lengths[k]) exit(2);
    }
    for (int64_t k = 0; k < slots; k++) {
      int64_t kind = slot[3 * k], which = slot[3 * k + 1], value = slot[3 * k + 2];
      if (kind == NUMBER) table[k] = value;
      if (kind == FUNCTION) table[k] = (int64_t)functions[which];
      if (kind == ADDRESS) table[k] = (int64_t)(array[which] + value);
    }
    kernels[kernel](table);
    for (int64_t k = 0; k < arrays; k++) fwrite(array[k], 1, lengths[k], results);
  }
  return fclose(results);
}
"""
NUMBER, FUNCTION, ADDRESS = range(3)


class Array(NamedTuple):
    """Memory of a call: its address, the type of its numbers, its content before and after the call."""

    address: int
    dtype: torch.dtype
    before: bytes
    after: bytes


class Job(NamedTuple):
    """A call of a kernel: what it was for, the kernel's number, names and values of its arguments, its memory."""

    title: str
    kernel: int
    slots: tuple[object, ...]
    table: tuple[int, ...]
    arrays: list[Array]


class Recorder:
    """Stands between the engine and its kernels, and writes down every call."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.title = ""
        self.kernels: list[str] = []  # LLVM code
        self.functions: dict[int, tuple[str, str, bool]] = {}  # by address: name, LLVM code, whether passes run on it
        self.jobs: list[Job] = []
        self._slots: dict[str, tuple[object, ...]] = {}
        self._alive: list[object] = []
        self._emit = {name: getattr(emit, name) for name in ("forward", "backward")}
        self._load = machine.load
        for name in self._emit:
            patch.setattr(emit, name, partial(self.emit, name))
        patch.setattr(machine, "load", self.load)
        patch.setattr(fused, "_programs", {})
        patch.setattr(fused, "_by_formula", {})
        product.addresses.cache_clear()

    def emit(self, name, *arguments):
        kernel = self._emit[name](*arguments)
        self._slots[kernel.code] = kernel.slots
        return kernel

    def load(self, code, entry, *, optimise=False):
        address = self._load(code, entry, optimise=optimise)
        if code not in self._slots:
            self.functions[address] = entry, code, optimise
            return address
        number = len(self.kernels)
        self.kernels.append(code.replace(f'@"{entry}"', f'@"kernel{number}"'))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        call = kind(partial(self.call, number, self._slots[code], kind(address)))
        self._alive.append(call)
        return ctypes.cast(call, ctypes.c_void_p).value

    def call(self, number, slots, kernel, address):
        table = tuple((ctypes.c_int64 * len(slots)).from_address(address))
        addresses = [value for value in table if value > LEAST_ADDRESS and value not in self.functions]
        memory = {}
        for tensor in (o for o in gc.get_objects() if type(o) in (Tensor, torch.nn.Parameter)):
            storage = tensor.untyped_storage()
            if any(0 <= a - storage.data_ptr() < storage.nbytes() for a in addresses):
                memory[storage.data_ptr()] = tensor.dtype, storage.nbytes()
        before = {start: ctypes.string_at(start, size) for start, (_, size) in memory.items()}
        kernel(address)
        arrays = [Array(a, d, before[a], ctypes.string_at(a, size)) for a, (d, size) in memory.items()]
        self.jobs.append(Job(self.title, number, slots, table, arrays))


def run_all(recorder):
    """Run every registered cell at every width: without and with gradients, and with numbers that are not finite."""
    for name, cls in REGISTERED.items():
        for width in WIDTHS:
            cell = cls()
            units = fitting(cell, width)
            module = Recurrent(cell, INPUTS, units, layers=max(1, cell.min_layers), engine="fused")
            fill(module, std=0.3)
            x = torch.randn(T, B, INPUTS, generator=generator(1))
            recorder.title = f"{name}, H = {units}, evaluation"
            with torch.no_grad():
                module(x)
            recorder.title = f"{name}, H = {units}, training"
            outputs, _ = module(x.requires_grad_())
            outputs.backward(torch.randn(outputs.shape, generator=generator(2)))
        recorder.title = f"{name}, not finite"
        with torch.no_grad():
            x[3, 1, 0], x[2, 2, 1] = torch.nan, torch.inf
            module(x)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """All kernels, and their calls on this machine."""
    for program in (COMPILER, EMULATOR):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    deterministic = torch.are_deterministic_algorithms_enabled()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        recorder = Recorder(patch)
        torch.use_deterministic_algorithms(True)  # new memory is filled with NaN
        try:
            run_all(recorder)
        finally:
            torch.use_deterministic_algorithms(deterministic)
    return recorder


@pytest.fixture(scope="module", params=["generic", "apple-m1"])
def ran(request, recorded, tmp_path_factory):
    """The calls on this machine, and what their arrays hold after the same calls on a processor of aarch64."""
    return recorded.jobs, run_there(tmp_path_factory.mktemp(request.param), request.param, recorded)


def run_there(folder, processor, recorder):
    """Compile all kernels for a processor and run all jobs under the emulator; returns their arrays."""
    objects = compile_all(folder, processor, recorder)
    kernels = [f"kernel{k}" for k in range(len(recorder.kernels))]
    names = [name for name, _, _ in recorder.functions.values()]
    declarations = "\n".join(f"void {name}(int64_t *);" for name in (*kernels, *names))
    code = DRIVER.replace("{declarations}", declarations)
    code = code.replace("{kernels}", ", ".join(kernels)).replace("{functions}", ", ".join(names))
    (folder / "driver.c").write_text(code)
    (folder / "jobs").write_bytes(
        b"".join([struct.pack("q", len(recorder.jobs)), *(packed(job, recorder) for job in recorder.jobs)])
    )
    build = [COMPILER, "-static", "-O1", "driver.c", *objects, "-o", "driver"]
    subprocess.run(build, cwd=folder, check=True)
    subprocess.run([EMULATOR, "-cpu", "max", "driver", "jobs", "results"], cwd=folder, check=True)
    with (folder / "results").open("rb") as results:
        return [[results.read(len(array.before)) for array in job.arrays] for job in recorder.jobs]


def compile_all(folder, processor, recorder):
    """Compile kernels and the functions that they call, with the steps of `machine`; returns the names of the files."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-linux-gnu")
    there = target.create_target_machine(cpu=processor, opt=3, reloc="pic", codemodel="default")
    codes = [(code, False) for code in recorder.kernels]
    codes += [(code, optimise) for _, code, optimise in recorder.functions.values()]
    objects = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(folder / "objects"))
        for k, (code, optimise) in enumerate(codes):
            (folder / f"{k}.o").write_bytes(machine._object(code, there, optimise))
            objects.append(f"{k}.o")
    return objects


def packed(job, recorder):
    """A job as the driver reads it."""
    functions = {address: k for k, address in enumerate(recorder.functions)}
    numbers = [job.kernel, len(job.arrays), len(job.slots)]
    for name, value in zip(job.slots, job.table, strict=True):
        if value in functions:
            numbers += [FUNCTION, functions[value], 0]
        elif value <= LEAST_ADDRESS:
            numbers += [NUMBER, 0, value]
        else:
            places = [
                (k, value - a.address) for k, a in enumerate(job.arrays) if 0 <= value - a.address < len(a.before)
            ]
            assert len(places) == 1, f"{job.title}: {name} points to memory of no tensor"
            numbers += [ADDRESS, *places[0]]
    memory = b"".join(struct.pack("q", len(a.before)) + a.before for a in job.arrays)
    return struct.pack(f"{len(numbers)}q", *numbers) + memory


def tensor_of(content, dtype):
    return torch.frombuffer(bytearray(content), dtype=dtype)


def test_every_cell_gives_the_same_numbers_on_aarch64(ran):
    """States, what is kept for the backward pass, derivatives; where a number is NaN here it is NaN there."""
    wrong = {}
    for job, there in zip(*ran, strict=True):
        for array, content in zip(job.arrays, there, strict=True):
            here, other = tensor_of(array.after, array.dtype), tensor_of(content, array.dtype)
            if not torch.allclose(here, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                wrong.setdefault(job.title, []).append((here - other).abs().max().item())
    assert wrong == {}


def test_every_kernel_computes_something_on_aarch64(ran):
    for job, there in zip(*ran, strict=True):
        assert any(a.before != content for a, content in zip(job.arrays, there, strict=True)), job.title
