"""Compiled code as an ARM processor of 64 bits runs it: under an emulator, held against this machine.

Every call on this machine is written down: its arguments, and all the memory that these point to, before and after the
call. A C program for aarch64 puts the same memory into arrays of its own, each between two pages that nobody may touch,
makes the same call, compiled for aarch64, and writes the memory back.

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
from tests.variants.engine.test_ending import draw as draw_ending
from tests.variants.engine.test_ending import ending as case_ending
from tests.variants.engine.test_optimise import OPTIMISERS, compiled
from tests.variants.engine.test_optimise import draw as draw_gradients
from variants import Recurrent
from variants.engine import fused
from variants.engine.cpu import emit, ending, machine, optimise, product

TOLERANCE = 1e-5
WIDTHS = (5, 27, 32)
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
LEAST_ADDRESS = 2**20  # what is larger in a table of arguments is no size or stride

pytestmark = pytest.mark.slow

# Code n is `code<n>`; `call<n>` calls it with the arguments of a job. A job is read as 64-bit integers: n, number of
# arrays, number of arguments, and for each argument its kind, which function or array it is, and a number or an offset.
# Then come the arrays: length and bytes.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { NUMBER, FUNCTION, ADDRESS };
enum { PAGE = 4096, LINE = 64, MOST = 64 };

{declarations}
static void (*calls[])(int64_t *) = { {calls} };
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
    int64_t code = number(), arrays = number(), slots = number();
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
    calls[code](table);
    for (int64_t k = 0; k < arrays; k++) fwrite(array[k], 1, lengths[k], results);
  }
  return fclose(results);
}
"""
NUMBER, FUNCTION, ADDRESS = range(3)
# How code is called with the arguments t of a job, by its entry; what is not listed is called by other code only.
DECLARED = {
    emit.ENTRY: "void code%(n)d(int64_t *);\nstatic void call%(n)d(int64_t *t) { code%(n)d(t); }",
    ending.ENTRY: """double code%(n)d(int64_t *, double, double);
static void call%(n)d(int64_t *t) {
  double *numbers = (double *)t;
  *(double *)t[0] = code%(n)d(t + 3, numbers[1], numbers[2]);
}""",
    optimise.ENTRY: """void code%(n)d(int64_t, int64_t *, double *);
static void call%(n)d(int64_t *t) { code%(n)d(t[0], t + 2, (double *)(t + 2 + t[1])); }""",
}
INTERNAL = "void code%(n)d(void);\nenum { call%(n)d = 0 };"


class Array(NamedTuple):
    """Memory of a call: its address, the type of its numbers, its content before and after the call."""

    address: int
    dtype: torch.dtype
    before: bytes
    after: bytes


class Job(NamedTuple):
    """A call: what it was for, the number of the code, its arguments, its memory."""

    title: str
    code: int
    table: tuple[int | float, ...]
    arrays: list[Array]


class Code(NamedTuple):
    """LLVM code that was loaded: its entry, the text, whether LLVM's passes run on it."""

    entry: str
    text: str
    optimise: bool


class Recorder:
    """Stands between the engine and its compiled code, and writes down every call."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.title = ""
        self.codes: list[Code] = []
        self.functions: dict[int, int] = {}  # addresses of what other code calls to numbers of codes
        self.jobs: list[Job] = []
        self._slots: dict[str, int] = {}  # how many arguments a kernel has
        self._alive: list[object] = []
        self._emit = {name: getattr(emit, name) for name in ("forward", "backward")}
        self._load, self._ending, self._optimise = machine.load, ending._compiled, optimise._compiled
        for name in self._emit:
            patch.setattr(emit, name, partial(self.emit, name))
        patch.setattr(machine, "load", self.load)
        patch.setattr(ending, "_compiled", self.ending)
        patch.setattr(optimise, "_compiled", self.optimise)
        patch.setattr(fused, "_programs", {})
        patch.setattr(fused, "_by_formula", {})
        product.addresses.cache_clear()

    def emit(self, name, *arguments):
        kernel = self._emit[name](*arguments)
        self._slots[kernel.code] = len(kernel.slots)
        return kernel

    def load(self, code, entry, *, optimise=False):
        address, number = self._load(code, entry, optimise=optimise), len(self.codes)
        self.codes.append(Code(entry, code, optimise))
        if code not in self._slots:
            self.functions[address] = number
            return address
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        kernel, arguments = kind(address), ctypes.c_int64 * self._slots[code]

        def call(table):
            self.record(number, arguments.from_address(table), partial(kernel, table))

        self._alive.append(kind(call))
        return ctypes.cast(self._alive[-1], ctypes.c_void_p).value

    def ending(self, loss):
        function, number = self._ending.__wrapped__(loss), len(self.codes) - 1
        result = torch.zeros(1, dtype=torch.float64)

        def call(table, scale, derivative_scale):
            arguments = [result.data_ptr(), scale, derivative_scale, *table]
            self.record(number, arguments, lambda: result.fill_(function(table, scale, derivative_scale)))
            return result.item()

        return call

    def optimise(self, optimiser):
        function, number = self._optimise.__wrapped__(optimiser), len(self.codes) - 1

        def call(count, arrays, numbers):
            self.record(number, [count, len(arrays), *arrays, *numbers], lambda: function(count, arrays, numbers))

        return call

    def record(self, number, table, run):
        """Make a call, and write it down."""
        addresses = [v for v in table if isinstance(v, int) and v > LEAST_ADDRESS and v not in self.functions]
        memory = {}
        for tensor in (o for o in gc.get_objects() if type(o) in (Tensor, torch.nn.Parameter)):
            storage = tensor.untyped_storage()
            if any(0 <= a - storage.data_ptr() < storage.nbytes() for a in addresses):
                memory[storage.data_ptr()] = tensor.dtype, storage.nbytes()
        before = {start: ctypes.string_at(start, size) for start, (_, size) in memory.items()}
        run()
        arrays = [Array(a, d, before[a], ctypes.string_at(a, size)) for a, (d, size) in memory.items()]
        self.jobs.append(Job(self.title, number, tuple(table), arrays))


def run_cells(recorder):
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


def run_endings(recorder):
    """Run every loss and every optimiser."""
    for loss in ending.LOSSES:
        recorder.title = loss
        case = draw_ending(loss, (T, B, 27, 40, 5, 2), weighted=True)
        case_ending(case)[0].run(case.reads, case.targets, case.weights, 0.25)
    for name, momentum in OPTIMISERS:
        values, gradients = draw_gradients(1001, steps=3)
        for clip_norm in (0.0, 10.0):
            recorder.title = f"{name}, momentum = {momentum}, clipped to {clip_norm}"
            compiled(name, momentum, clip_norm, values, gradients)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """All compiled code, and its calls on this machine."""
    for program in (COMPILER, EMULATOR):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    deterministic = torch.are_deterministic_algorithms_enabled()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(tmp_path_factory.mktemp("kernels")))
        recorder = Recorder(patch)
        torch.use_deterministic_algorithms(True)  # new memory is filled with NaN
        try:
            run_cells(recorder)
            run_endings(recorder)
        finally:
            torch.use_deterministic_algorithms(deterministic)
    return recorder


@pytest.fixture(scope="module", params=["generic", "apple-m1"])
def ran(request, recorded, tmp_path_factory):
    """The calls on this machine, and what their arrays hold after the same calls on a processor of aarch64."""
    return recorded.jobs, run_there(tmp_path_factory.mktemp(request.param), request.param, recorded)


def run_there(folder, processor, recorder):
    """Compile all code for a processor and run all jobs under the emulator; returns their arrays."""
    compile_all(folder, processor, recorder.codes)
    count = range(len(recorder.codes))
    code = DRIVER.replace(
        "{declarations}", "\n".join(DECLARED.get(c.entry, INTERNAL) % {"n": n} for n, c in enumerate(recorder.codes))
    )
    code = code.replace("{calls}", ", ".join(f"call{n}" for n in count))
    code = code.replace("{functions}", ", ".join(f"code{n}" for n in count))
    (folder / "driver.c").write_text(code)
    jobs = [packed(job, recorder) for job in recorder.jobs]
    (folder / "jobs").write_bytes(b"".join([struct.pack("q", len(jobs)), *jobs]))
    build = [COMPILER, "-static", "-O1", "driver.c", *(f"{n}.o" for n in count), "-o", "driver"]
    subprocess.run(build, cwd=folder, check=True)
    subprocess.run([EMULATOR, "-cpu", "max", "driver", "jobs", "results"], cwd=folder, check=True)
    with (folder / "results").open("rb") as results:
        return [[results.read(len(array.before)) for array in job.arrays] for job in recorder.jobs]


def compile_all(folder, processor, codes):
    """Compile code n to the file n.o, with the steps of `machine`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-linux-gnu")
    there = target.create_target_machine(cpu=processor, opt=3, reloc="pic", codemodel="default")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_VARIANTS_CACHE", str(folder / "objects"))
        for n, (entry, text, optimise) in enumerate(codes):
            text = text.replace(f'@"{entry}"', f'@"code{n}"')
            (folder / f"{n}.o").write_bytes(machine._object(text, there, optimise))


def packed(job, recorder):
    """A job as the driver reads it."""
    numbers = [job.code, len(job.arrays), len(job.table)]
    for value in job.table:
        if isinstance(value, float):
            numbers += [NUMBER, 0, *struct.unpack("q", struct.pack("d", value))]
        elif value in recorder.functions:
            numbers += [FUNCTION, recorder.functions[value], 0]
        elif value <= LEAST_ADDRESS:
            numbers += [NUMBER, 0, value]
        else:
            places = [
                (k, value - a.address) for k, a in enumerate(job.arrays) if 0 <= value - a.address < len(a.before)
            ]
            assert len(places) == 1, f"{job.title}: an argument points to memory of no tensor"
            numbers += [ADDRESS, *places[0]]
    memory = b"".join(struct.pack("q", len(a.before)) + a.before for a in job.arrays)
    return struct.pack(f"{len(numbers)}q", *numbers) + memory


def tensor_of(content, dtype):
    return torch.frombuffer(bytearray(content), dtype=dtype)


def test_all_numbers_are_the_same_on_aarch64(ran):
    """States, what is kept for the backward pass, derivatives; where a number is NaN here it is NaN there."""
    wrong = {}
    for job, there in zip(*ran, strict=True):
        for array, content in zip(job.arrays, there, strict=True):
            if array.dtype is torch.int64:  # addresses
                continue
            here, other = tensor_of(array.after, array.dtype), tensor_of(content, array.dtype)
            if not torch.allclose(here, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                wrong.setdefault(job.title, []).append((here - other).abs().max().item())
    assert wrong == {}


def test_every_call_computes_something_on_aarch64(ran):
    for job, there in zip(*ran, strict=True):
        assert any(a.before != content for a, content in zip(job.arrays, there, strict=True)), job.title
