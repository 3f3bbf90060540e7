/* MinHash as kernels: only indexing here. Compiled after common and minhash (gpu_minhash.py). */

#define STAGED 128 /* threads of a block, and hashes that it makes before it looks for minima */

extern "C" __global__ void words(
    i64 count, const u8* __restrict__ tables, const u8* __restrict__ text, const i64* __restrict__ offsets,
    i64 characters, u8* __restrict__ out, i32* __restrict__ begins, i32* __restrict__ ends, i64* __restrict__ units,
    i64* __restrict__ words
) {
    i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= count) return;
    i64 at = offsets[row];
    words[row] = pass_words(
        tables, text, at, offsets[row + 1], (int)characters, out + 2 * at, begins + at, ends + at, units + row);
}

/* A block for each text: its threads hash a shingle each, then each of them looks for the minima of its own slots. */
extern "C" __global__ void minima(
    i64 count, const u8* __restrict__ out, const i32* __restrict__ begins, const i32* __restrict__ ends,
    const i64* __restrict__ units, const i64* __restrict__ offsets, i64 n, const u32* __restrict__ factors,
    const u32* __restrict__ shifts, i64 slots, u32* __restrict__ values
) {
    __shared__ u32 hashes[STAGED];
    for (i64 row = blockIdx.x; row < count; row += gridDim.x) {
        i64 at = offsets[row], shingles = shingles_of(units[row], n);
        u32* mine = values + row * slots;
        for (i64 k = threadIdx.x; k < slots; k += blockDim.x) mine[k] = EMPTY_SLOT;
        for (i64 from = 0; from < shingles; from += STAGED) {
            int staged = shingles - from < STAGED ? (int)(shingles - from) : STAGED;
            if ((int)threadIdx.x < staged)
                hashes[threadIdx.x] =
                    shingle_hash(out + 2 * at, begins + at, ends + at, units[row], n, from + threadIdx.x);
            __syncthreads();
            for (i64 k = threadIdx.x; k < slots; k += blockDim.x)
                mine[k] = least(hashes, staged, factors[k], shifts[k], mine[k]);
            __syncthreads();
        }
    }
}
