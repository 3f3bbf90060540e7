/* MinHash as kernels: only indexing here. Compiled after common and minhash (gpu_minhash.py). */

#define STAGED 128 /* threads of a block, and hashes that it makes before it looks for minima */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

/* What the words of each stretch take. */
extern "C" __global__ void measure(
    i64 count, const u8* __restrict__ tables, const u8* __restrict__ text, const i64* __restrict__ offsets,
    const i64* __restrict__ firsts, const i32* __restrict__ rows, i64 characters, i32* __restrict__ sizes,
    i32* __restrict__ units, i32* __restrict__ words, i32* __restrict__ broken
) {
    if (ITEM >= count) return;
    Stretch s = stretch_of(offsets, firsts, rows, ITEM);
    Filled none = {0, 0, 0, 0};
    Filled found = pass_stretch(tables, text, s.begin, s.end, s.from, s.stop, (int)characters, none, 0, 0, 0);
    sizes[ITEM] = found.size;
    units[ITEM] = found.units;
    words[ITEM] = found.words;
    if (found.is_broken) broken[s.row] = 1;
}

/* Written behind the stretches before: `sizes` and `units` are sums up to and with each stretch. */
extern "C" __global__ void words(
    i64 count, const u8* __restrict__ tables, const u8* __restrict__ text, const i64* __restrict__ offsets,
    const i64* __restrict__ firsts, const i32* __restrict__ rows, i64 characters, const i64* __restrict__ sizes,
    const i64* __restrict__ units, u8* __restrict__ out, i32* __restrict__ begins, i32* __restrict__ ends
) {
    if (ITEM >= count) return;
    Stretch s = stretch_of(offsets, firsts, rows, ITEM);
    Filled before = {
        (i32)(sum_before(sizes, ITEM) - sum_before(sizes, firsts[s.row])),
        (i32)(sum_before(units, ITEM) - sum_before(units, firsts[s.row]) - (characters != 0)), 0, 0};
    pass_stretch(
        tables, text, s.begin, s.end, s.from, s.stop, (int)characters, before, out + 2 * s.begin, begins + s.begin,
        ends + s.begin);
}

/* Units and words of each text; -1 words where it is not UTF-8. */
extern "C" __global__ void totals(
    i64 count, const i64* __restrict__ firsts, i64 characters, const i64* __restrict__ unit_sums,
    const i64* __restrict__ word_sums, const i32* __restrict__ broken, i64* __restrict__ units, i64* __restrict__ words
) {
    i64 row = ITEM;
    if (row >= count) return;
    i64 all = sum_before(unit_sums, firsts[row + 1]) - sum_before(unit_sums, firsts[row]);
    units[row] = broken[row] || !all ? 0 : all - (characters != 0);
    words[row] = broken[row] ? -1 : sum_before(word_sums, firsts[row + 1]) - sum_before(word_sums, firsts[row]);
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
