"""Encoders of small trained vocabularies, one of each kind, on a GPU that is the host; and what they are compared with."""

import base64
import functools
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataforge.kernels import bpe, gpu, gpu_encode, gpu_passes
from dataforge.kernels.encode import ids_of, open_encoder, strings_from
from dataforge.kernels.encoder_tables import compile_rules
from dataforge.kernels.split_rules import PATTERNS
from dataforge.kernels.tokenizer_folder import Folder, open_folder
from dataforge.operators.tokenizer_train import TrainTokenizer
from tests.kernels.cuda_host.fake_cupy import FakeCupy

TEXT = "the cat sat on the mat 1234, isn't it?\n\n  AAAA aaaa   cat's über Straße 中文中文 \U0001f600 ---- ==== " * 8


def train(out, **options):
    operator = TrainTokenizer(vocab_size=420, **options)
    operator.finish(operator.observe(0, pa.record_batch({"id": ["a"], "text": [TEXT]})), out)
    return open_folder(out)


def ranks():
    tokens = [bytes([b]) for b in range(256)]
    tokens += [b"th", b"he", b"the", b" the", b"aa", b"aaa", b"aaaa", b"12", b"23", b"123", b"zqzqzq", b"\n\n", b"  "]
    return b"\n".join(base64.b64encode(token) + b" %d" % i for i, token in enumerate(tokens))


KINDS = {f"bytes-{pattern}": {"pattern": pattern} for pattern in PATTERNS}
KINDS |= {f"units-{dummy}": {"kind": "sentencepiece_bpe", "dummy_prefix": dummy} for dummy in (False, True)}
KINDS |= {f"ranks-{pattern}": {"ranks": pattern} for pattern in ("cl100k", "o200k")}


@functools.cache
def host_gpu(*flags, workers=1):
    return gpu.Gpu(gpu_passes.SOURCES, FakeCupy(*flags, workers=workers))


def on_host(folder, *, slots=1 << 12, where=None):
    host = open_encoder(folder, lane="reference")
    return gpu_encode.GpuEncoder(host, where or host_gpu(), compile_rules(bpe.rules_of(folder)), slots=slots)


@functools.cache  # not fixtures of a wider scope: in random order pytest would make each of them many times
def folder_of(kind):
    options = dict(KINDS[kind])
    pattern = options.pop("ranks", None)
    if pattern:
        return Folder("ranks", ranks(), pattern, size=300)
    with tempfile.TemporaryDirectory() as folder:
        return train(Path(folder), **options)


@functools.cache
def encoder_of(kind):
    return on_host(folder_of(kind))


def lists(found):
    return [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]


def same(encoder, texts):
    found, right = encoder.encode(strings_from(texts)), ids_of(encoder.host.reference(texts))
    if not np.array_equal(found.ids, right.ids) or not np.array_equal(found.offsets, right.offsets):
        wrong = [(t, a, b) for t, a, b in zip(texts, lists(found), lists(right), strict=True) if a != b]
        pytest.fail(f"{len(wrong)} texts differ, the first: {wrong[0]}")
