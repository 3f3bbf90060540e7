/* The encoder's passes as kernels: only indexing and atomics here. Compiled after common, split, bpe, table and passes. */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

static __device__ u64 claimed(u64* claim, u64 mine) {
    u64 owner = __ldcv(claim); /* most often it is taken: ask before contending for it */
    return owner ? owner : atomicCAS(claim, 0ull, mine);
}

static __device__ u32 appended(u32* count) { return atomicAdd(count, 1u); }

static __device__ void set_bit(u32* bits, i64 at) { atomicOr(bits + (at >> 5), 1u << (at & 31)); }

extern "C" __global__ void firsts(i64 count, const i64* offsets, u32* firsts) {
    if (ITEM < count) pass_firsts(offsets, firsts, ITEM);
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

/* A block for each left piece that is longer than SHORT: `which` are their numbers, `places` their lists in `memory`. */
extern "C" __global__ void merge_long(
    i64 count, const u8* model, const u8* text, const i64* which, const i64* places, i32* memory, const u32* begins,
    const u32* firsts, const u32* left, const i64* rooms, i32* scratch, i32* left_counts
) {
    __shared__ u64 best[2];
    __shared__ i32 first;
    int lane = threadIdx.x, lanes = blockDim.x;
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        i64 k = which[item], begin = begins[left[k]], end = begins[left[k] + 1], nodes = end - begin + 1;
        int dummy = leads_text(model, firsts, begin);
        List list = list_in(memory + places[item], nodes);
        i32 whole = whole_piece(model, text, begin, end); /* every lane asks the same */
        for (i64 node = lane; node < nodes; node += lanes) list.priority[node] = NO_SYMBOL, list.next[node] = NO_PLACE;
        __syncthreads();
        if (lane == 0) {
            first = long_link(model, text, begin, end, dummy, list);
            best[0] = best[1] = NO_SLOT;
        }
        __syncthreads();
        for (i64 node = lane; node < nodes && whole < 0; node += lanes)
            if (list.next[node] != NO_PLACE) long_rank(model, list, (i32)node);
        __syncthreads();
        for (int round = 0; whole < 0; round ^= 1) { /* best[round] is for this merge, the other one for the next */
            u64 mine = long_best(list, nodes, lane, lanes);
            if (lane == 0) best[round ^ 1] = NO_SLOT;
            if (mine != NO_SLOT) atomicMin(best + round, mine);
            __syncthreads();
            u64 now = best[round];
            if (now == NO_SLOT) break;
            if (lane == 0) long_merge(model, list, (i32)(now & 0xFFFFFFFF));
            __syncthreads();
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
