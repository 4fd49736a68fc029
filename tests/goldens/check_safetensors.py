"""Loads a safetensors file that the project wrote with the library itself and compares every tensor.

    DLCM_WRITTEN_SAFETENSORS=FILE build/tests/unit_tests --test-case="safetensors: written byte for byte*"
    venv/bin/python check_safetensors.py FILE

Names, types, shapes and bytes must be those of written_tensors() of make_safetensors_goldens.py, and so must the metadata.
Also loads each tensor by NumPy, as users do. Exits with 1 where anything differs.
"""

import argparse
import pathlib
import sys

import numpy as np
import safetensors

import make_safetensors_goldens as goldens

NAMES = {"float32": "F32", "float64": "F64", "bfloat16": "BF16", "uint8": "U8", "uint16": "U16", "int32": "I32"}
NAMES |= {"uint32": "U32", "int64": "I64"}


def raw_differences(path):
    """What the library reads of the file as bytes against what was meant."""
    found = dict(safetensors.deserialize(path.read_bytes()))
    expected = goldens.written_tensors()
    for name in sorted(found.keys() ^ expected.keys()):
        yield f"tensor {name!r} is {'missing' if name in expected else 'unknown'}"
    for name in sorted(found.keys() & expected.keys()):
        dtype, array, shape = expected[name]
        for what, value in (("dtype", NAMES[dtype]), ("shape", shape), ("data", array.tobytes())):
            entry = found[name][what]
            entry = bytes(entry) if what == "data" else entry
            if entry != value:
                yield f"tensor {name!r}: {what} is {entry}, expected {value}"


def loaded_differences(path):
    """The same through safe_open and NumPy, which has no bfloat16."""
    with safetensors.safe_open(path, framework="np") as file:
        if file.metadata() != goldens.METADATA:
            yield f"metadata is {file.metadata()}, expected {goldens.METADATA}"
        for name, (dtype, array, shape) in goldens.written_tensors().items():
            if name not in file.keys() or dtype == "bfloat16":
                continue
            if not np.array_equal(file.get_tensor(name), array.reshape(shape)):
                yield f"tensor {name!r} differs when it is loaded by NumPy"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    path = parser.parse_args().file
    differences = list(raw_differences(path)) + list(loaded_differences(path))
    for difference in differences:
        print(difference)
    print(f"{path}: {len(goldens.written_tensors())} tensors, {len(differences)} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
