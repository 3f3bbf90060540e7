/* The passes of the encoder, one item at a time. Needs common, split, heads, bpe and table.
 *
 * encode.cu gives each item a thread; sums between the passes are gpu_passes.py's. Texts lie one behind another in
 * `text`; `starts` has a bit for each byte that begins a piece, and piece p is begins[p] .. begins[p + 1]. A batch has
 * less than 2^31 bytes, so has each of its sums. */

#define TILE 4096         /* bytes for which `tile_rows` names the first byte's document */
#define LEFT 0xFFFFFFFFu  /* the slot of a piece that the table does not have */
#define UNKNOWN (-1)

enum { IS_BROKEN, IS_LONG, PIECES };          /* of `status` */
enum { FRESH, LEFT_OVER, LEFT_LONG, LONGEST }; /* of `lists`: lengths of lists, and bytes of the longest piece left */

/* Document `row` that is not empty: its first byte. */
static __device__ void pass_firsts(const i64* offsets, u32* firsts, i64 row) {
    if (offsets[row] < offsets[row + 1]) set_bit(firsts, offsets[row]);
}

/* Of a word of 32 bytes of ASCII, as most are, with ASCII around it; all others go to the list `wide`: read character
 * by character, one of them would keep 31 threads waiting. */
static __device__ void pass_heads(
    const u8* model, const u8* text, i64 size, const u32* firsts, u32* heads, u32* odd, u32* wide, u32* wide_count,
    i64 word
) {
    int pattern = (int)word_of(model, M_PATTERN);
    if (!is_ascii(text, size, 32 * word)) {
        wide[appended(wide_count)] = (u32)word;
        return;
    }
    Verdicts found = pattern == PATTERN_UNITS ? unit_verdicts(text, size, firsts, 32 * word, 32 * word + 32)
                                              : ascii_verdicts(pattern, text, firsts, size, 32 * word);
    heads[word] = found.heads;
    odd[word] = found.odd;
}

static __device__ void pass_wide(
    const u8* model, const u8* text, i64 size, const u32* firsts, u32* heads, u32* odd, i64 word
) {
    int pattern = (int)word_of(model, M_PATTERN);
    i64 begin = 32 * word, stop = begin + 32 < size ? begin + 32 : size;
    Verdicts found = pattern == PATTERN_UNITS ? unit_verdicts(text, size, firsts, begin, stop)
                                              : any_verdicts(pattern, model, text, size, firsts, begin, stop);
    heads[word] = found.heads;
    odd[word] = found.odd;
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
 * largest one goes to `status`, which begins as 0. Words of ASCII alone have none. */
static __device__ void pass_check(const u8* text, i64 size, const u32* firsts, u64* status, i64 word) {
    i64 at = 32 * word, stop = at + 32 < size ? at + 32 : size;
    while (at < stop) {
        int length = 1, is_broken;
        if (is_inner(text[at])) is_broken = !is_covered(text, size, at);
        else is_broken = decode(text, at, size, &length) == INVALID && length == 1;
        for (int k = 1; k < length; k++) is_broken |= bit_at(firsts, at + k);
        if (is_broken) {
            raised(status + IS_BROKEN, (u64)(size - at));
            return;
        }
        at += length;
    }
}

/* The document that byte `at` is in: the last one that begins at or before it, of those from `low` to `high`. */
static __device__ i64 row_between(const i64* offsets, i64 low, i64 high, i64 at) {
    while (low < high) {
        i64 middle = (low + high + 1) / 2;
        if (offsets[middle] <= at) low = middle;
        else high = middle - 1;
    }
    return low;
}

/* tile_rows[tile] for the tiles and, behind the last, the last document. */
static __device__ void pass_tiles(const i64* offsets, i64 rows, i32* tile_rows, i64 tile) {
    tile_rows[tile] = (i32)row_between(offsets, 0, rows - 1, tile * TILE);
}

static __device__ i64 row_at(const i64* offsets, const i32* tile_rows, i64 at) {
    return row_between(offsets, tile_rows[at / TILE], tile_rows[at / TILE + 1], at);
}

/* The head before an odd byte: `below` are the bits before it in its word, none of them odd since the last head.
 * NO_PLACE where an odd byte of a word before lies between: that one's thread reads from there on. */
static __device__ i64 head_before(const u32* heads, const u32* odd, i64 word, u32 below) {
    u32 marks = heads[word] & below;
    while (!marks && word > 0) {
        word--;
        marks = heads[word] | odd[word];
        if (marks && !(heads[word] >> highest_bit(marks) & 1)) return NO_PLACE;
    }
    return marks ? 32 * word + highest_bit(marks) : NO_PLACE;
}

/* Pieces from `head` to the next head. One that more than `limit` bytes lie between is left to the host. */
static __device__ void walk_from(
    const u8* model, const u8* text, i64 end, const u32* heads, u32* starts, i64 head, i64 limit, u64* status
) {
    for (i64 at = head;;) {
        at = piece_end(model, text, at, end);
        if (at >= end || bit_at(heads, at)) return;
        set_bit(starts, at);
        if (at - head > limit) {
            raised(status + IS_LONG, 1);
            return;
        }
    }
}

/* For the odd bytes of `word`, one between two heads: all pieces there. `starts` holds the heads already. */
static __device__ void pass_walk(
    const u8* model, const u8* text, const i64* offsets, const i32* tile_rows, const u32* heads, const u32* odd,
    u32* starts, i64 limit, u64* status, i64 word
) {
    for (u32 left = odd[word]; left;) {
        u32 lowest = left & (0u - left), behind = heads[word] & ~(lowest - 1);
        i64 head = head_before(heads, odd, word, lowest - 1);
        if (head != NO_PLACE) {
            i64 end = offsets[row_at(offsets, tile_rows, head) + 1];
            walk_from(model, text, end, heads, starts, head, limit, status);
        }
        left = behind ? left & ~((behind & (0u - behind)) - 1) : 0;
    }
}

static __device__ void pass_tally(const u32* starts, i32* tally, i64 word) { tally[word] = bits_in(starts[word]); }

/* Pieces that begin before byte `at`; `before[word]`: those that begin in the words up to and with this one. */
static __device__ i32 pieces_before(const u32* starts, const i32* before, i64 at) {
    u32 word = starts[at >> 5];
    return before[at >> 5] - bits_in(word) + bits_in(word & ((1u << (at & 31)) - 1));
}

/* Whether the piece that ends at `at` has more than `limit` bytes. */
static __device__ int is_long(const u32* starts, const i32* before, i64 at, i32 piece, i64 limit) {
    return at > limit && pieces_before(starts, before, at - limit) == piece;
}

/* Tells of pieces that are too long, and how many there are. The piece that ends at `at` began in [at - limit, at), or
 * is long: then as many pieces begin before the one as before the other. */
static __device__ void pass_limits(
    const u32* starts, const i32* before, i64 size, i64 limit, u64* status, i64 words, i64 word
) {
    i32 piece = word ? before[word - 1] : 0;
    int found = 0;
    for (u32 left = starts[word]; left; left &= left - 1, piece++)
        found |= is_long(starts, before, 32 * word + lowest_bit(left), piece, limit);
    if (word == words - 1) {
        found |= is_long(starts, before, size, piece, limit);
        status[PIECES] = (u64)piece;
    }
    if (found) raised(status + IS_LONG, 1);
}

static __device__ void pass_begins(
    const u32* starts, const i32* before, i64 size, u32* begins, i64 words, i64 word
) {
    i64 piece = word ? before[word - 1] : 0;
    for (u32 left = starts[word]; left; left &= left - 1) begins[piece++] = (u32)(32 * word + lowest_bit(left));
    if (word == words - 1) begins[piece] = (u32)size;
}

static __device__ int leads_text(const u8* model, const u32* firsts, i64 at) {
    return word_of(model, M_DUMMY) && bit_at(firsts, at);
}

/* A piece for which there is no slot: short ones to the front of `left`, longer ones to `long_left`. */
static __device__ void leave(i64 p, i64 size, u32* left, u32* long_left, u32* lists) {
    if (size <= SHORT) {
        left[appended(lists + LEFT_OVER)] = (u32)p;
        return;
    }
    long_left[appended(lists + LEFT_LONG)] = (u32)p;
    heightened_to(lists + LONGEST, (u32)size);
}

/* The slot of piece p, or LEFT. counts[p] is UNKNOWN until the slot is filled or the piece is merged. */
static __device__ void pass_probe(
    const u8* model, const u8* text, const u32* begins, const u32* firsts, const u64* slots, u64* claims, u64 mask,
    u32* where, i32* counts, u32* fresh, u32* left, u32* long_left, u32* lists, i64 p
) {
    i64 begin = begins[p], size = (i64)begins[p + 1] - begin;
    int is_new = 0, dummy = leads_text(model, firsts, begin);
    const Slot* table = (const Slot*)slots;
    i32 at = size <= KEYED ? slot_of(text, table, claims, mask, begin, size, dummy, &is_new) : NO_PLACE;
    where[p] = at == NO_PLACE ? LEFT : (u32)at;
    counts[p] = at != NO_PLACE && table[at].key.high ? slot_count(table + at) : UNKNOWN;
    if (is_new) fresh[appended(lists + FRESH)] = (u32)at;
    if (at == NO_PLACE) leave(p, size, left, long_left, lists);
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

/* Where in `scratch` the ids of piece p have room: a byte is an id at most, and there is one more for the prefix. */
static __device__ i64 room_of(const u32* begins, i64 p) { return begins[p] + p; }

static __device__ void pass_left(
    const u8* model, const u8* text, const u32* begins, const u32* firsts, const u32* left, i32* scratch, i32* counts,
    i64 k
) {
    i64 p = left[k], begin = begins[p];
    int dummy = leads_text(model, firsts, begin);
    counts[p] = encode_short(model, text, begin, begins[p + 1], dummy, scratch + room_of(begins, p));
}

static __device__ void pass_settle(const u32* where, const u64* slots, i32* counts, i64 p) {
    if (counts[p] == UNKNOWN && where[p] != LEFT) counts[p] = slot_count((const Slot*)slots + where[p]);
}

/* `ends[p]`: ids of the pieces up to and with p. Written as u16 where every id of the tokenizer fits. */
static __device__ void pass_emit(
    const u32* where, const u64* slots, const u32* begins, const i32* scratch, const i32* counts, const i32* ends,
    i64 narrow, void* out, i64 p
) {
    i32 count = counts[p];
    i64 to = ends[p] - count;
    u32 at = where[p];
    const Slot* slot = (const Slot*)slots + (at == LEFT ? 0 : at);
    for (i32 k = 0; k < count; k++) {
        i32 id = at == LEFT ? scratch[room_of(begins, p) + k] : (i32)slot_id(slot, k);
        if (narrow) ((u16*)out)[to + k] = (u16)id;
        else ((i32*)out)[to + k] = id;
    }
}

/* Ids before document `row`; row count: all of them. A document begins where a piece does, or is empty. */
static __device__ void pass_edges(
    const i64* offsets, i64 size, const u32* starts, const i32* before, const i32* ends, i64 pieces, i64* edges, i64 row
) {
    i64 at = offsets[row], piece = at < size ? pieces_before(starts, before, at) : pieces;
    edges[row] = piece ? ends[piece - 1] : 0;
}
