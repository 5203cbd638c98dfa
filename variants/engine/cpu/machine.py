"""LLVM code to machine code: from this process, from the cache on disk, or compiled now."""

from __future__ import annotations

import threading
from functools import cache as once

import llvmlite
from llvmlite import binding as llvm

from . import cache

_lock = threading.Lock()
_addresses: dict[tuple[str, str], int] = {}
_engines: list[llvm.ExecutionEngine] = []  # they own the machine code
compiled = 0
"""How many kernels this process has compiled, as opposed to found on disk."""


def load(code: str, entry: str, *, optimise: bool = False) -> int:
    """Return the address of a function of a module: from this process, else from disk, else compiled now.

    optimise: run LLVM's passes before it generates code. Kernels, which are written as vectors and in single
    assignment, are as fast without, and compile in half the time.
    """
    with _lock:
        if (code, entry) not in _addresses:
            machine = _target_machine()
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
            engine.add_object_file(llvm.ObjectFileRef.from_data(_object(code, machine, optimise)))
            engine.finalize_object()
            _engines.append(engine)
            _addresses[code, entry] = engine.get_function_address(entry)
        return _addresses[code, entry]


def _object(code: str, machine: llvm.TargetMachine, optimise: bool) -> bytes:
    global compiled
    versions = (
        llvmlite.__version__,
        str(llvm.llvm_version_info),
        machine.triple,
        llvm.get_host_cpu_name(),
        _features(),
    )
    key = "\n".join((code, str(optimise), *versions))
    found = cache.read(key)
    if found is not None:
        return found
    module = llvm.parse_assembly(code)
    module.verify()
    if optimise:
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        builder.getModulePassManager().run(module, builder)
    compiled += 1
    machine_code: bytes = machine.emit_object(module)
    cache.write(key, machine_code)
    return machine_code


def processor() -> str:
    """Return the kind of processor that code is generated for."""
    return str(llvm.get_host_cpu_name())


def llvm_version() -> str:
    """Return the version of LLVM."""
    return ".".join(map(str, llvm.llvm_version_info))


@once
def _features() -> str:
    return str(llvm.get_host_cpu_features().flatten())


@once
def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True)
