/* The passes of the encoder, one item at a time. Needs common, split, bpe and table.
 *
 * encode.cu gives each item a thread; sums between the passes are gpu_passes.py's. Texts lie one behind another in `text`;
 * `starts` has a bit for each byte that begins a piece, and piece p is begins[p] .. begins[p + 1]. */

#define TILE 4096         /* bytes for which `tile_rows` names the first byte's document */
#define LEFT 0x80000000u  /* marks a piece that the table does not have: the rest is its number among those left */
#define UNKNOWN (-1)

/* Document `row` that is not empty: its first byte. */
static __device__ void pass_firsts(const i64* offsets, u32* firsts, i64 row) {
    if (offsets[row] < offsets[row + 1]) set_bit(firsts, offsets[row]);
}

static __device__ void pass_heads(const u8* model, const u8* text, i64 size, const u32* firsts, u32* heads, i64 word) {
    i64 begin = 32 * word, stop = begin + 32 < size ? begin + 32 : size;
    heads[word] = heads_between(model, text, size, firsts, begin, stop);
}

/* Whether the byte at `at`, which begins no character, belongs to one that begins before it. */
static __device__ int is_covered(const u8* text, i64 size, i64 at) {
    int length, back = 1;
    while (back < 3 && back < at && is_inner(text[at - back])) back++;
    if (back > at) return 0;
    decode(text, at - back, size, &length);
    return length > back;
}

/* The first byte that is no UTF-8, or ends a document amid a character, as its distance from the end of the text: the
 * largest one goes to `broken`, which begins as 0. Reads eight bytes at a time: the text has 32 spare bytes behind it. */
static __device__ void pass_check(const u8* text, i64 size, const u32* firsts, u64* broken, i64 word) {
    i64 at = 32 * word, stop = at + 32 < size ? at + 32 : size;
    const u64* eight = (const u64*)text + 4 * word;
    if (!((eight[0] | eight[1] | eight[2] | eight[3]) & 0x8080808080808080ull)) return;
    while (at < stop) {
        int length = 1, is_broken;
        if (is_inner(text[at])) is_broken = !is_covered(text, size, at);
        else is_broken = decode(text, at, size, &length) == INVALID && length == 1;
        for (int k = 1; k < length; k++) is_broken |= bit_at(firsts, at + k);
        if (is_broken) {
            raised(broken, (u64)(size - at));
            return;
        }
        at += length;
    }
}

/* The document that byte `at` is in: the last one that begins at or before it. */
static __device__ i64 row_at(const i64* offsets, const i32* tile_rows, i64 at) {
    i64 low = tile_rows[at / TILE], high = tile_rows[at / TILE + 1];
    while (low < high) {
        i64 middle = (low + high + 1) / 2;
        if (offsets[middle] <= at) low = middle;
        else high = middle - 1;
    }
    return low;
}

/* From each head among the 32 bytes of `word`: the pieces up to the next head. `starts` holds the heads already. */
static __device__ void pass_walk(
    const u8* model, const u8* text, const i64* offsets, const i32* tile_rows, const u32* heads, u32* starts, i64 word
) {
    i64 row = NO_PLACE;
    if (word_of(model, M_PATTERN) == PATTERN_UNITS) return; /* every unit begins at a head */
    for (u32 left = heads[word]; left; left &= left - 1) {
        i64 at = 32 * word + lowest_bit(left);
        if (row == NO_PLACE || offsets[row + 1] <= at) row = row_at(offsets, tile_rows, at);
        i64 end = offsets[row + 1];
        for (;;) {
            at = piece_end(model, text, at, end);
            if (at >= end || bit_at(heads, at)) break;
            set_bit(starts, at);
        }
    }
}

static __device__ void pass_tally(const u32* starts, i32* tally, i64 word) { tally[word] = bits_in(starts[word]); }

/* `before[word]`: pieces that begin in the words up to and with this one. */
static __device__ void pass_begins(const u32* starts, const i64* before, u32* begins, i64 word) {
    i64 piece = word ? before[word - 1] : 0;
    for (u32 left = starts[word]; left; left &= left - 1) begins[piece++] = (u32)(32 * word + lowest_bit(left));
}

static __device__ int leads_text(const u8* model, const u32* firsts, i64 at) {
    return word_of(model, M_DUMMY) && bit_at(firsts, at);
}

/* Where the ids of piece p are, or will be: a slot, or a number among `left`. `lists` are the lengths of `fresh` (slots to
 * fill) and of `left`. counts[p] is UNKNOWN until both are filled. */
static __device__ void pass_probe(
    const u8* model, const u8* text, const u32* begins, const u32* firsts, const u64* slots, u64* claims, u64 mask,
    u32* where, i32* counts, u32* fresh, u32* left, u32* lists, i64 p
) {
    i64 begin = begins[p], size = (i64)begins[p + 1] - begin;
    int is_new = 0, dummy = leads_text(model, firsts, begin);
    const Slot* table = (const Slot*)slots;
    i32 at = size <= KEYED ? slot_of(text, table, claims, mask, begin, size, dummy, &is_new) : NO_PLACE;
    if (at == NO_PLACE) {
        u32 number = appended(lists + 1);
        left[number] = (u32)p;
        where[p] = LEFT | number;
        counts[p] = UNKNOWN;
        return;
    }
    if (is_new) fresh[appended(lists)] = (u32)at;
    where[p] = (u32)at;
    counts[p] = table[at].key.high ? slot_count(table + at) : UNKNOWN;
}

static __device__ void pass_fill(
    const u8* model, const u8* text, const u64* claims, const u32* fresh, u64* slots, i64 i
) {
    u64 claim = claims[fresh[i]];
    i64 begin = claim_begin(claim);
    i32 ids[SLOT_IDS];
    i32 count = encode_short(model, text, begin, begin + claim_size(claim), claim_dummy(claim), ids);
    slot_fill((Slot*)slots + fresh[i], claim_key(text, claim), ids, count);
}

/* Piece left[k] of at most SHORT bytes: its ids to its room in `scratch`. Longer ones are left to merge_long. */
static __device__ void pass_left(
    const u8* model, const u8* text, const u32* begins, const u32* firsts, const u32* left, const i64* rooms,
    i32* scratch, i32* left_counts, i64 k
) {
    i64 begin = begins[left[k]], end = begins[left[k] + 1];
    if (end - begin > SHORT) return;
    left_counts[k] = encode_short(model, text, begin, end, leads_text(model, firsts, begin), scratch + rooms[k]);
}

static __device__ void pass_settle(const u32* where, const u64* slots, const i32* left_counts, i32* counts, i64 p) {
    if (counts[p] != UNKNOWN) return;
    counts[p] = where[p] & LEFT ? left_counts[where[p] & ~LEFT] : slot_count((const Slot*)slots + where[p]);
}

/* `ends[p]`: ids of the pieces up to and with p. Written as u16 where every id of the tokenizer fits. */
static __device__ void pass_emit(
    const u32* where, const u64* slots, const i64* rooms, const i32* scratch, const i32* counts, const i64* ends,
    i64 narrow, void* out, i64 p
) {
    const Slot* slot = (const Slot*)slots + where[p];
    int is_left = (where[p] & LEFT) != 0;
    i64 to = ends[p] - counts[p];
    for (i32 k = 0; k < counts[p]; k++) {
        i32 id = is_left ? scratch[rooms[where[p] & ~LEFT] + k] : (i32)slot_id(slot, k);
        if (narrow) ((u16*)out)[to + k] = (u16)id;
        else ((i32*)out)[to + k] = id;
    }
}

/* Ids before document `row`; row count: all of them. A document begins where a piece does, or is empty. */
static __device__ void pass_edges(
    const i64* offsets, i64 size, const u32* starts, const i64* before, const i64* ends, i64 pieces, i64* edges, i64 row
) {
    i64 at = offsets[row], word = at >> 5, piece = pieces;
    if (at < size) piece = before[word] - bits_in(starts[word]) + bits_in(starts[word] & ((1u << (at & 31)) - 1));
    edges[row] = piece ? ends[piece - 1] : 0;
}
