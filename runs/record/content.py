"""The checksum of an archive: of its columns and its design, however they are compressed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def checksum(table: pa.Table, design: bytes) -> str:
    """Return the SHA-256 of a table and of the text of its design, in hexadecimal digits.

    Whole numbers count as 64 bits wide, as do others, so that a table that stores them in fewer bits has the same
    checksum, and so has one that another version of pyarrow has written.

    table: with its columns in their order.
    design: as it stands in the metadata of the file.
    """
    digest = hashlib.sha256(design)
    for name in table.column_names:
        digest.update(f"\0{name}\0{table.num_rows}\0".encode())
        for part in _parts(table.column(name).combine_chunks()):
            digest.update(part)
    return digest.hexdigest()


def _parts(array: pa.Array) -> Iterator[bytes]:
    """Yield a column as bytes: which values are gaps, then all values with 0 in each gap."""
    import numpy as np
    import pyarrow as pa

    yield np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        wide = pa.int64() if pa.types.is_integer(array.type) else pa.float64()
        yield array.cast(wide).fill_null(0).to_numpy(zero_copy_only=False).tobytes()
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield array.value_lengths().fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes()
        yield from _parts(array.flatten())
    else:
        yield json.dumps(array.to_pylist(), default=str).encode()
