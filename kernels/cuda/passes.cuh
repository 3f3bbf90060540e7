/* The passes of the encoder, one item at a time: bytes, segments, pieces. Needs common, split and bpe.
 * encode.cu gives each item a thread; the tests give them a loop. Scans between the passes are the caller's. */

/* S1. head[i] = 1 where a thread may start cutting. */
static __device__ void pass_heads(const u8* model, const u8* text, i64 size, const u8* first, u8* head, i64 i) {
    head[i] = first[i] || is_segment_head(model, text, i, size, first);
}

/* S3. start[i] = 1 where a piece begins, for segment s; `ends` are ends of documents, per segment. */
static __device__ void pass_split(
    const u8* model, const u8* text, const i64* heads, const i64* ends, i64 segments, i64 size, u8* start, i64 s
) {
    i64 at = heads[s], stop = s + 1 < segments ? heads[s + 1] : size;
    if (stop > ends[s]) stop = ends[s];
    if (word_of(model, M_PATTERN) == PATTERN_UNITS) { /* a segment is a unit */
        start[at] = 1;
        return;
    }
    while (at < stop) {
        start[at] = 1;
        at = piece_end(model, text, at, ends[s]);
    }
}

/* S5. Ids of piece p into its room in `scratch`, their number into `count`. Long pieces are left to the next pass. */
static __device__ void pass_merge(
    const u8* model, const u8* text, const i64* begins, const i64* ends, const i64* rooms, const u8* dummy,
    i32* scratch, i32* count, i64 p
) {
    if (ends[p] - begins[p] > SHORT) return;
    i32 whole = whole_piece(model, text, begins[p], ends[p]);
    i32* out = scratch + rooms[p];
    if (whole >= 0) out[0] = whole;
    count[p] = whole >= 0 ? 1 : merge_short(model, text, begins[p], ends[p], dummy[p], out);
}

/* S7. The ids of piece p to their place in the result. */
static __device__ void pass_gather(
    const i32* scratch, const i64* rooms, const i32* count, const i64* targets, i32* out, i64 p
) {
    for (i32 k = 0; k < count[p]; k++) out[targets[p] + k] = scratch[rooms[p] + k];
}
