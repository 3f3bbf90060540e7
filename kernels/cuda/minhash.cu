/* MinHash as kernels: only indexing here. Compiled after common and minhash (gpu_minhash.py). */

extern "C" __global__ void words(
    i64 count, const u8* tables, const u8* text, const i64* offsets, i64 characters, u8* out, i64* begins, i64* ends,
    i64* units
) {
    i64 row = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= count) return;
    i64 at = 2 * offsets[row];
    units[row] = pass_words(
        tables, text, offsets[row], offsets[row + 1], (int)characters, out + at, begins + at, ends + at);
}

/* A block for each text, a thread for each shingle, its minima in shared memory: `slots` of at most 4,096. */
extern "C" __global__ void minima(
    i64 count, const u8* out, const i64* begins, const i64* ends, const i64* units, const i64* offsets, i64 n,
    const u32* factors, const u32* shifts, i64 slots, u32* values
) {
    __shared__ u32 best[4096];
    for (i64 row = blockIdx.x; row < count; row += gridDim.x) {
        i64 at = 2 * offsets[row], shingles = shingles_of(units[row], n);
        for (i64 k = threadIdx.x; k < slots; k += blockDim.x) best[k] = EMPTY_SLOT;
        __syncthreads();
        for (i64 i = threadIdx.x; i < shingles; i += blockDim.x) {
            u32 hash = shingle_hash(out + at, begins + at, ends + at, units[row], n, i);
            for (i64 k = 0; k < slots; k++) {
                u32 value = factors[k] * hash + shifts[k];
                if (value < best[k]) atomicMin(&best[k], value);
            }
        }
        __syncthreads();
        for (i64 k = threadIdx.x; k < slots; k += blockDim.x) values[row * slots + k] = best[k];
        __syncthreads();
    }
}
