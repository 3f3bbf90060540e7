/* The encoder's passes as kernels: indexing and atomics alone. Compiled after all of its .cuh (gpu_passes.py). */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

static __device__ u64 claimed(u64* claim, u64 mine) {
    u64 owner = __ldcv(claim); /* most often it is taken: ask before contending for it */
    return owner ? owner : atomicCAS(claim, 0ull, mine);
}

/* The lanes of a warp that are here together ask once: thousands of pieces at a time are new to a table. */
static __device__ u32 appended(u32* count) {
    u32 lanes = __activemask(), lane = threadIdx.x & 31, first = 0;
    int leader = __ffs((int)lanes) - 1;
    if ((int)lane == leader) first = atomicAdd(count, (u32)__popc(lanes));
    return __shfl_sync(lanes, first, leader) + (u32)__popc(lanes & ((1u << lane) - 1));
}

static __device__ void set_bit(u32* bits, i64 at) { atomicOr(bits + (at >> 5), 1u << (at & 31)); }

static __device__ void raised(u64* cell, u64 value) { atomicMax(cell, value); }

static __device__ void heightened_to(u32* cell, u32 value) { atomicMax(cell, value); }

static __device__ u32 warp_least(u32 mine) { return __reduce_min_sync(0xFFFFFFFFu, mine); }

extern "C" __global__ void firsts(i64 count, const i64* offsets, u32* firsts) {
    if (ITEM < count) pass_firsts(offsets, firsts, ITEM);
}

extern "C" __global__ void tiles(i64 count, const i64* __restrict__ offsets, i64 rows, i32* __restrict__ tile_rows) {
    if (ITEM < count) pass_tiles(offsets, rows, tile_rows, ITEM);
}

extern "C" __global__ void heads(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, i64 size, const u32* __restrict__ firsts,
    u32* __restrict__ heads, u32* __restrict__ odd, u32* __restrict__ wide, u32* wide_count
) {
    if (ITEM < count) pass_heads(model, text, size, firsts, heads, odd, wide, wide_count, ITEM);
}

/* The words of a list whose length the host does not know, by as many threads as it gives. */
#define EACH_WIDE (i64 i = ITEM; i < *wide_count; i += (i64)gridDim.x * blockDim.x)

extern "C" __global__ void check(
    i64 count, const u8* __restrict__ text, i64 size, const u32* __restrict__ firsts, const u32* __restrict__ wide,
    const u32* __restrict__ wide_count, u64* status
) {
    for EACH_WIDE pass_check(text, size, firsts, status, wide[i]);
}

extern "C" __global__ void wide(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, i64 size, const u32* __restrict__ firsts,
    u32* __restrict__ heads, u32* __restrict__ odd, const u32* __restrict__ wide, const u32* __restrict__ wide_count
) {
    for EACH_WIDE pass_wide(model, text, size, firsts, heads, odd, wide[i]);
}

extern "C" __global__ void walk(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, const i64* __restrict__ offsets,
    const i32* __restrict__ tile_rows, const u32* __restrict__ heads, const u32* __restrict__ odd, u32* starts,
    i64 limit, u64* status
) {
    if (ITEM < count) pass_walk(model, text, offsets, tile_rows, heads, odd, starts, limit, status, ITEM);
}

extern "C" __global__ void tally(i64 count, const u32* __restrict__ starts, i32* __restrict__ tally) {
    if (ITEM < count) pass_tally(starts, tally, ITEM);
}

extern "C" __global__ void limits(
    i64 count, const u32* __restrict__ starts, const i32* __restrict__ before, i64 size, i64 limit, u64* status
) {
    if (ITEM < count) pass_limits(starts, before, size, limit, status, count, ITEM);
}

extern "C" __global__ void begins(
    i64 count, const u32* __restrict__ starts, const i32* __restrict__ before, i64 size, u32* __restrict__ begins
) {
    if (ITEM < count) pass_begins(starts, before, size, begins, count, ITEM);
}

extern "C" __global__ void probe(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, const u32* __restrict__ begins,
    const u32* __restrict__ firsts, const u64* __restrict__ slots, u64* claims, u64 mask, u32* __restrict__ where,
    i32* __restrict__ counts, u32* fresh, u32* left, u32* long_left, u32* lists
) {
    if (ITEM < count)
        pass_probe(
            model, text, begins, firsts, slots, claims, mask, where, counts, fresh, left, long_left, lists, ITEM);
}

extern "C" __global__ void fill(
    i64 count, const u8* model, const u8* text, const u64* claims, const u32* fresh, u64* slots
) {
    if (ITEM < count) pass_fill(model, text, claims, fresh, slots, ITEM);
}

extern "C" __global__ void merge_left(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, const u32* __restrict__ begins,
    const u32* __restrict__ firsts, const u32* __restrict__ left, i32* scratch, i32* counts
) {
    if (ITEM < count) pass_left(model, text, begins, firsts, left, scratch, counts, ITEM);
}

/* The tree of minima hears of a change of `node`. */
static __device__ void long_tell(List list, i64 node, int lane) {
    long_sum(list.priority, list.nodes, node / FAN, lane, list.least);
    __syncthreads();
    long_sum(list.least, above(list.nodes), node / FAN / FAN, lane, list.top);
    __syncthreads();
}

/* All merges of a piece: the lanes find a node, one of them joins it, two of them rank what is new. */
static __device__ void merge_all(const u8* model, List list, int lane) {
    for (;;) {
        i64 node = long_lowest(list, lane);
        if (node == NO_PLACE) return;
        i32 right = list.next[node], before = list.before[node];
        __syncthreads();
        if (lane == 0) long_join(model, list, node, right);
        __syncthreads();
        if (lane == 0) long_rank(model, list, node);
        if (lane == 1 && before != NO_PLACE) long_rank(model, list, before);
        __syncthreads();
        long_tell(list, node, lane);
        if (right / FAN != node / FAN) long_tell(list, right, lane);
        if (before != NO_PLACE && before / FAN != node / FAN) long_tell(list, before, lane);
    }
}

/* A warp for each left piece that is longer than SHORT; each block has room for `most_nodes` in `memory`. */
extern "C" __global__ void merge_long(
    i64 count, const u8* model, const u8* text, const u32* begins, const u32* firsts, const u32* left, i64 most_nodes,
    i32* memory, i32* scratch, i32* counts
) {
    __shared__ u32 least[NODES / FAN], top[NODES / FAN / FAN];
    __shared__ i32 first;
    int lane = threadIdx.x;
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        i64 p = left[item], begin = begins[p], end = begins[p + 1], nodes = end - begin + 1;
        i32 whole = whole_piece(model, text, begin, end); /* every lane asks the same */
        List list = list_in(memory + 4 * most_nodes * blockIdx.x, nodes, least, top);
        if (whole < 0) {
            for (i64 node = lane; node < nodes; node += FAN) list.priority[node] = NO_SYMBOL, list.next[node] = NO_PLACE;
            __syncthreads();
            if (lane == 0) first = long_link(model, text, begin, end, leads_text(model, firsts, begin), list);
            __syncthreads();
            for (i64 node = lane; node < nodes; node += FAN)
                if (list.next[node] != NO_PLACE) long_rank(model, list, node);
            __syncthreads();
            for (i64 group = 0; group < above(nodes); group++) long_sum(list.priority, nodes, group, lane, least);
            __syncthreads();
            for (i64 group = 0; group < above(above(nodes)); group++) long_sum(least, above(nodes), group, lane, top);
            __syncthreads();
            merge_all(model, list, lane);
        }
        if (lane == 0) {
            i32* out = scratch + room_of(begins, p);
            if (whole >= 0) out[0] = whole;
            counts[p] = whole >= 0 ? 1 : long_emit(model, text, begin, end, list, first, out);
        }
        __syncthreads();
    }
}

extern "C" __global__ void settle(
    i64 count, const u32* __restrict__ where, const u64* __restrict__ slots, i32* __restrict__ counts
) {
    if (ITEM < count) pass_settle(where, slots, counts, ITEM);
}

extern "C" __global__ void emit(
    i64 count, const u32* __restrict__ where, const u64* __restrict__ slots, const u32* __restrict__ begins,
    const i32* __restrict__ scratch, const i32* __restrict__ counts, const i32* __restrict__ ends, i64 narrow,
    void* __restrict__ out
) {
    if (ITEM < count) pass_emit(where, slots, begins, scratch, counts, ends, narrow, out, ITEM);
}

extern "C" __global__ void edges(
    i64 count, const i64* __restrict__ offsets, i64 size, const u32* __restrict__ starts,
    const i32* __restrict__ before, const i32* __restrict__ ends, i64 pieces, i64* __restrict__ edges
) {
    if (ITEM < count) pass_edges(offsets, size, starts, before, ends, pieces, edges, ITEM);
}
