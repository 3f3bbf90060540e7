# mypy: ignore-errors
"""Instructions that numba has no name for, as LLVM code: the compiler maps them to what the processor has.

`@intrinsic` is numba's half-public door to LLVM; all of it stands in this file, and the property tests of the kernels
that use it hold it to the plain definitions. Addresses are taken as they are: the caller keeps them inside its buffers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD32, WORD64 = ir.IntType(32), ir.IntType(64)
BYTES64 = ir.VectorType(ir.IntType(8), 64)
LANES = 16  # numbers of one vector
AFFINE = 4 * LANES  # permutations that `affine` takes at once


def _pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _splat(kind, value):
    return ir.Constant(kind, [value] * kind.count)


@intrinsic
def load64(typing_context, address):
    """The little-endian uint64 at any address, aligned or not."""

    def build(context, builder, signature, arguments):
        return builder.load(_pointer(builder, arguments[0], WORD64), align=1)

    return types.uint64(types.uintp), build


@intrinsic
def high_bits(typing_context, address):
    """Not 0 where one of the 256 bytes at any address is no ASCII."""

    def build(context, builder, signature, arguments):
        places = [builder.add(arguments[0], ir.Constant(WORD64, 64 * i)) for i in range(4)]
        parts = [builder.load(_pointer(builder, place, BYTES64), align=1) for place in places]
        joint = builder.or_(builder.or_(parts[0], parts[1]), builder.or_(parts[2], parts[3]))
        return builder.bitcast(builder.icmp_signed("<", joint, _splat(BYTES64, 0)), WORD64)

    return types.uint64(types.uintp), build


@intrinsic
def utf8_errors(typing_context, address):
    """A bit for each of 64 bytes that cannot follow the three bytes before it in UTF-8; those are read too.

    A byte is a continuation if and only if a lead byte before it wants one; four leads narrow the byte after them.
    """

    def build(context, builder, signature, arguments):
        places = [builder.sub(arguments[0], ir.Constant(WORD64, back)) for back in range(4)]
        byte, one, two, three = (builder.load(_pointer(builder, place, BYTES64), align=1) for place in places)

        def compare(how, values, number):
            return builder.icmp_unsigned(how, values, _splat(BYTES64, number))

        def after(lead, how, number):
            return builder.and_(compare("==", one, lead), compare(how, byte, number))

        wanted = builder.or_(compare(">=", one, 0xC0), builder.or_(compare(">=", two, 0xE0), compare(">=", three, 0xF0)))
        found = builder.icmp_signed("<", byte, _splat(BYTES64, 0xC0))  # 0x80 to 0xBF are the lowest signed bytes
        bad = builder.xor(wanted, found)
        shortest = builder.or_(after(0xE0, "<", 0xA0), after(0xF0, "<", 0x90))  # else it has a shorter spelling
        beyond = builder.or_(after(0xED, ">", 0x9F), after(0xF4, ">", 0x8F))  # surrogates, above U+10FFFF
        never = builder.or_(compare(">=", byte, 0xF5), compare("==", builder.and_(byte, _splat(BYTES64, 0xFE)), 0xC0))
        for wrong in (shortest, beyond, never):
            bad = builder.or_(bad, wrong)
        return builder.bitcast(bad, WORD64)

    return types.uint64(types.uintp), build


@intrinsic
def stream64(typing_context, to, source):
    """64 bytes from any address to one on 64 bytes, past the caches: the processor need not read what it overwrites.

    Other threads see them for sure only after `streamed()`.
    """
    kind = ir.VectorType(WORD32, LANES)

    def build(context, builder, signature, arguments):
        to, source = (_pointer(builder, address, kind) for address in arguments)
        store = builder.store(builder.load(source, align=1), to, align=4 * LANES)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(WORD32, 1)]))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), build


@intrinsic
def streamed(typing_context):
    """What was written before is there for all threads from here on."""

    def build(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def affine(typing_context, hashes, count, factors, shifts, minima):
    """minima[k] = min(minima[k], factors[k] * h + shifts[k] mod 2^32) for 64 k and `count` h, all uint32 at addresses.

    The 64 minima stay in registers over all h; the compiler does not do that by itself, and it doubles the speed.
    """
    kind = ir.VectorType(WORD32, LANES)

    def build(context, builder, signature, arguments):
        hashes, count, *bases = arguments
        offsets = [ir.Constant(WORD64, 4 * LANES * i) for i in range(4)]
        places = [[_pointer(builder, builder.add(base, offset), kind) for offset in offsets] for base in bases]
        factors, shifts, minima = ([builder.load(place, align=1) for place in row] for row in places)
        slots = [cgutils.alloca_once_value(builder, value) for value in minima]
        zero = ir.Constant(WORD32, 0)
        with cgutils.for_range(builder, count) as loop:
            at = builder.add(hashes, builder.mul(loop.index, ir.Constant(WORD64, 4)))
            one = builder.insert_element(
                ir.Constant(kind, ir.Undefined), builder.load(_pointer(builder, at, WORD32), align=1), zero
            )
            value = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), _splat(kind, 0))
            for factor, shift, slot in zip(factors, shifts, slots, strict=True):
                permuted, least = builder.add(builder.mul(factor, value), shift), builder.load(slot)
                builder.store(builder.select(builder.icmp_unsigned("<", permuted, least), permuted, least), slot)
        for slot, place in zip(slots, places[2], strict=True):
            builder.store(builder.load(slot), place, align=1)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.uintp, types.uintp, types.uintp), build
