/* The encoder's passes as kernels: only indexing and atomics here. Compiled after common, split, bpe, table and passes. */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

static __device__ u64 claimed(u64* claim, u64 mine) {
    u64 owner = __ldcv(claim); /* most often it is taken: ask before contending for it */
    return owner ? owner : atomicCAS(claim, 0ull, mine);
}

static __device__ u32 appended(u32* count) { return atomicAdd(count, 1u); }

static __device__ void set_bit(u32* bits, i64 at) { atomicOr(bits + (at >> 5), 1u << (at & 31)); }

static __device__ void raised(u64* cell, u64 value) { atomicMax(cell, value); }

static __device__ u32 warp_least(u32 mine) { return __reduce_min_sync(0xFFFFFFFFu, mine); }

extern "C" __global__ void firsts(i64 count, const i64* offsets, u32* firsts) {
    if (ITEM < count) pass_firsts(offsets, firsts, ITEM);
}

extern "C" __global__ void check(
    i64 count, const u8* __restrict__ text, i64 size, const u32* __restrict__ firsts, u64* broken
) {
    if (ITEM < count) pass_check(text, size, firsts, broken, ITEM);
}

extern "C" __global__ void heads(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, i64 size, const u32* __restrict__ firsts,
    u32* __restrict__ heads
) {
    if (ITEM < count) pass_heads(model, text, size, firsts, heads, ITEM);
}

extern "C" __global__ void walk(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, const i64* __restrict__ offsets,
    const i32* __restrict__ tile_rows, const u32* __restrict__ heads, u32* __restrict__ starts
) {
    if (ITEM < count) pass_walk(model, text, offsets, tile_rows, heads, starts, ITEM);
}

extern "C" __global__ void tally(i64 count, const u32* starts, i32* tally) {
    if (ITEM < count) pass_tally(starts, tally, ITEM);
}

extern "C" __global__ void begins(i64 count, const u32* starts, const i64* before, u32* begins) {
    if (ITEM < count) pass_begins(starts, before, begins, ITEM);
}

extern "C" __global__ void probe(
    i64 count, const u8* __restrict__ model, const u8* __restrict__ text, const u32* __restrict__ begins,
    const u32* __restrict__ firsts, const u64* __restrict__ slots, u64* claims, u64 mask, u32* __restrict__ where,
    i32* __restrict__ counts, u32* fresh, u32* left, u32* lists
) {
    if (ITEM < count)
        pass_probe(model, text, begins, firsts, slots, claims, mask, where, counts, fresh, left, lists, ITEM);
}

extern "C" __global__ void fill(
    i64 count, const u8* model, const u8* text, const u64* claims, const u32* fresh, u64* slots
) {
    if (ITEM < count) pass_fill(model, text, claims, fresh, slots, ITEM);
}

extern "C" __global__ void merge_left(
    i64 count, const u8* model, const u8* text, const u32* begins, const u32* firsts, const u32* left, const i64* rooms,
    i32* scratch, i32* left_counts
) {
    if (ITEM < count) pass_left(model, text, begins, firsts, left, rooms, scratch, left_counts, ITEM);
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

/* A warp for each left piece that is longer than SHORT: `which` are their numbers, `places` their lists in `memory`. */
extern "C" __global__ void merge_long(
    i64 count, const u8* model, const u8* text, const i64* which, const i64* places, i32* memory, const u32* begins,
    const u32* firsts, const u32* left, const i64* rooms, i32* scratch, i32* left_counts
) {
    __shared__ u32 least[NODES / FAN], top[NODES / FAN / FAN];
    __shared__ i32 first;
    int lane = threadIdx.x;
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        i64 k = which[item], begin = begins[left[k]], end = begins[left[k] + 1], nodes = end - begin + 1;
        i32 whole = whole_piece(model, text, begin, end); /* every lane asks the same */
        List list = list_in(memory + places[item], nodes, least, top);
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
            i32* out = scratch + rooms[k];
            if (whole >= 0) out[0] = whole;
            left_counts[k] = whole >= 0 ? 1 : long_emit(model, text, begin, end, list, first, out);
        }
        __syncthreads();
    }
}

extern "C" __global__ void settle(
    i64 count, const u32* where, const u64* slots, const i32* left_counts, i32* counts
) {
    if (ITEM < count) pass_settle(where, slots, left_counts, counts, ITEM);
}

extern "C" __global__ void emit(
    i64 count, const u32* __restrict__ where, const u64* __restrict__ slots, const i64* __restrict__ rooms,
    const i32* __restrict__ scratch, const i32* __restrict__ counts, const i64* __restrict__ ends, i64 narrow,
    void* __restrict__ out
) {
    if (ITEM < count) pass_emit(where, slots, rooms, scratch, counts, ends, narrow, out, ITEM);
}

extern "C" __global__ void edges(
    i64 count, const i64* offsets, i64 size, const u32* starts, const i64* before, const i64* ends, i64 pieces,
    i64* edges
) {
    if (ITEM < count) pass_edges(offsets, size, starts, before, ends, pieces, edges, ITEM);
}
