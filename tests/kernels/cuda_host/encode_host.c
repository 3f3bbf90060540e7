/* A host stands in for the grid: loops around the device functions, so that every pass runs in a test. */
#define __device__
#include "common.cuh"
#include "split.cuh"
#include "bpe.cuh"
#include "passes.cuh"

void heads(i64 count, const u8* model, const u8* text, i64 size, const u8* first, u8* head) {
    for (i64 i = count - 1; i >= 0; i--) pass_heads(model, text, size, first, head, i);
}

void split(i64 count, const u8* model, const u8* text, const i64* begins, const i64* ends, i64 size, u8* start) {
    for (i64 s = count - 1; s >= 0; s--) pass_split(model, text, begins, ends, count, size, start, s);
}

void merge_pieces(
    i64 count, const u8* model, const u8* text, const i64* begins, const i64* ends, const i64* rooms, const u8* dummy,
    i32* scratch, i32* counts
) {
    for (i64 p = count - 1; p >= 0; p--) pass_merge(model, text, begins, ends, rooms, dummy, scratch, counts, p);
}

/* The phases of the kernel between two barriers are loops over the lanes of one block. */
#define LANES 8
void merge_long(
    i64 count, const u8* model, const u8* text, const i64* which, const i64* places, i32* memory, const i64* begins,
    const i64* ends, const i64* rooms, const u8* dummy, i32* scratch, i32* counts
) {
    for (i64 item = 0; item < count; item++) {
        i64 p = which[item], nodes = ends[p] - begins[p] + 1;
        List list = list_in(memory + places[item], nodes);
        i32* out = scratch + rooms[p];
        i32 whole = whole_piece(model, text, begins[p], ends[p]);
        for (i64 node = 0; node < nodes; node++) list.priority[node] = NO_SYMBOL, list.next[node] = NO_PLACE;
        i32 first = long_link(model, text, begins[p], ends[p], dummy[p], list);
        for (i64 node = 0; node < nodes; node++)
            if (list.next[node] != NO_PLACE) long_rank(model, list, (i32)node);
        for (;;) {
            u64 best = NO_SLOT;
            for (int lane = LANES - 1; lane >= 0 && whole < 0; lane--) {
                u64 here = long_best(list, nodes, lane, LANES);
                if (here < best) best = here;
            }
            if (best == NO_SLOT) break;
            long_merge(model, list, (i32)(best & 0xFFFFFFFF));
        }
        if (whole >= 0) out[0] = whole;
        counts[p] = whole >= 0 ? 1 : long_emit(model, text, begins[p], ends[p], list, first, out);
    }
}

void gather(i64 count, const i32* scratch, const i64* rooms, const i32* counts, const i64* targets, i32* out) {
    for (i64 p = 0; p < count; p++) pass_gather(scratch, rooms, counts, targets, out, p);
}
