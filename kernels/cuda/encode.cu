/* The encoder's passes as kernels: only indexing here. Compiled after common, split, bpe and passes (gpu_encode.py). */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void heads(
    i64 count, const u8* model, const u8* text, i64 size, const u8* first, u8* head
) {
    if (ITEM < count) pass_heads(model, text, size, first, head, ITEM);
}

extern "C" __global__ void split(
    i64 count, const u8* model, const u8* text, const i64* begins, const i64* ends, i64 size, u8* start
) {
    if (ITEM < count) pass_split(model, text, begins, ends, count, size, start, ITEM);
}

extern "C" __global__ void merge_pieces(
    i64 count, const u8* model, const u8* text, const i64* begins, const i64* ends, const i64* rooms, const u8* dummy,
    i32* scratch, i32* counts
) {
    if (ITEM < count) pass_merge(model, text, begins, ends, rooms, dummy, scratch, counts, ITEM);
}

/* A block for each piece that is longer than SHORT: `which` are their numbers, `places` their lists in `memory`. */
extern "C" __global__ void merge_long(
    i64 count, const u8* model, const u8* text, const i64* which, const i64* places, i32* memory, const i64* begins,
    const i64* ends, const i64* rooms, const u8* dummy, i32* scratch, i32* counts
) {
    __shared__ u64 best[256];
    __shared__ i32 first;
    int lane = threadIdx.x, lanes = blockDim.x;
    for (i64 item = blockIdx.x; item < count; item += gridDim.x) {
        i64 p = which[item], nodes = ends[p] - begins[p] + 1;
        List list = list_in(memory + places[item], nodes);
        i32 whole = whole_piece(model, text, begins[p], ends[p]); /* every lane asks the same */
        for (i64 node = lane; node < nodes; node += lanes) list.priority[node] = NO_SYMBOL, list.next[node] = NO_PLACE;
        __syncthreads();
        if (lane == 0) first = long_link(model, text, begins[p], ends[p], dummy[p], list);
        __syncthreads();
        for (i64 node = lane; node < nodes; node += lanes)
            if (list.next[node] != NO_PLACE) long_rank(model, list, (i32)node);
        for (;;) {
            __syncthreads();
            best[lane] = whole >= 0 ? NO_SLOT : long_best(list, nodes, lane, lanes);
            __syncthreads();
            for (int half = lanes / 2; half > 0; half /= 2) {
                if (lane < half && best[lane + half] < best[lane]) best[lane] = best[lane + half];
                __syncthreads();
            }
            if (best[0] == NO_SLOT) break;
            if (lane == 0) long_merge(model, list, (i32)(best[0] & 0xFFFFFFFF));
        }
        if (lane == 0) {
            i32* out = scratch + rooms[p];
            if (whole >= 0) out[0] = whole;
            counts[p] = whole >= 0 ? 1 : long_emit(model, text, begins[p], ends[p], list, first, out);
        }
        __syncthreads();
    }
}

extern "C" __global__ void gather(
    i64 count, const i32* scratch, const i64* rooms, const i32* counts, const i64* targets, i32* out
) {
    if (ITEM < count) pass_gather(scratch, rooms, counts, targets, out, ITEM);
}
