"""Writes library.safetensors and written.safetensors beside this script, with the safetensors library itself.

    python -m venv venv && venv/bin/pip install safetensors numpy
    venv/bin/python make_safetensors_goldens.py [--output DIR]

The first holds tensors of all types that NumPy has, and bfloat16; the second those that the project writes, too. The tests
of data/safetensors.h read the first and write the second, byte for byte; check_safetensors.py compares a file that they
wrote with written_tensors() of this script. The committed files were made with safetensors 0.8.0 and NumPy 2.4.6.
"""

import argparse
import pathlib

import numpy as np
import safetensors

METADATA = {"format": "pt"}


def bfloat16(values):
    """Bits of values that bfloat16 holds exactly, as uint16: NumPy has no bfloat16."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    assert not (bits & 0xFFFF).any()
    return (bits >> 16).astype(np.uint16)


def tensors():
    """Name: (dtype in the words of the library's serialize, array that holds its bytes, shape)."""
    count = np.arange(6)
    special = [0.0, -0.0, 1.5, -np.inf, np.inf, 2.0**-126]
    return {
        "model.embed_tokens.weight": ("float32", (count * 0.25 - 1).astype(np.float32), [3, 2]),
        "scalar": ("float32", np.array([-7.5], np.float32), []),
        "empty": ("float32", np.zeros(0, np.float32), [2, 0, 3]),
        "double": ("float64", np.array([np.pi, -1e300, 5e-324]), [3]),
        "brain": ("bfloat16", bfloat16(special), [2, 3]),
        "half": ("float16", np.array([1, -2, 65504, 2.0**-24, np.inf, -0.0], np.float16), [6]),
        "bytes": ("uint8", np.array([0, 127, 255], np.uint8), [3]),
        "signed": ("int8", np.array([-128, 127], np.int8), [2]),
        "flags": ("bool", np.array([True, False, True]), [3]),
        "i16": ("int16", np.array([-32768, 32767], np.int16), [2]),
        "u16": ("uint16", np.array([0, 65535], np.uint16), [2]),
        "i32": ("int32", np.array([-(2**31), 2**31 - 1], np.int32), [1, 2]),
        "u32": ("uint32", np.array([0, 2**32 - 1], np.uint32), [2, 1]),
        "i64": ("int64", np.array([-(2**63), 2**63 - 1], np.int64), [2]),
        "u64": ("uint64", np.array([2**64 - 1], np.uint64), [1]),
        'a "name"\twith \\ and é': ("float32", np.array([1.0], np.float32), [1]),
    }


def written_tensors():
    """Those whose type the project writes."""
    not_written = ("float16", "int8", "bool", "int16", "uint64")
    return {name: entry for name, entry in tensors().items() if entry[0] not in not_written}


def serialize(chosen):
    """The library's bytes of these tensors."""
    specifications = {}
    for name, (dtype, array, shape) in chosen.items():
        specifications[name] = safetensors.TensorSpec(
            dtype=dtype, shape=shape, data_ptr=array.ctypes.data, data_len=array.nbytes
        )
    return safetensors.serialize(specifications, METADATA)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    arguments = parser.parse_args()
    (arguments.output / "library.safetensors").write_bytes(serialize(tensors()))
    (arguments.output / "written.safetensors").write_bytes(serialize(written_tensors()))


if __name__ == "__main__":
    main()
