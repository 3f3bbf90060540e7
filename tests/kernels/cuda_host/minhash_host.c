/* A host stands in for the grid (see encode_host.c). */
#define __device__
#include "common.cuh"
#include "minhash.cuh"

void words(
    i64 count, const u8* tables, const u8* text, const i64* offsets, i64 characters, u8* out, i64* begins, i64* ends,
    i64* units
) {
    for (i64 row = 0; row < count; row++) {
        i64 at = 2 * offsets[row];
        units[row] = pass_words(
            tables, text, offsets[row], offsets[row + 1], (int)characters, out + at, begins + at, ends + at);
    }
}

void minima(
    i64 count, const u8* out, const i64* begins, const i64* ends, const i64* units, const i64* offsets, i64 n,
    const u32* factors, const u32* shifts, i64 slots, u32* values
) {
    for (i64 row = 0; row < count; row++) {
        i64 at = 2 * offsets[row];
        for (i64 k = 0; k < slots; k++) values[row * slots + k] = EMPTY_SLOT;
        for (i64 i = shingles_of(units[row], n) - 1; i >= 0; i--) {
            u32 hash = shingle_hash(out + at, begins + at, ends + at, units[row], n, i);
            for (i64 k = 0; k < slots; k++) {
                u32 value = factors[k] * hash + shifts[k];
                if (value < values[row * slots + k]) values[row * slots + k] = value;
            }
        }
    }
}
