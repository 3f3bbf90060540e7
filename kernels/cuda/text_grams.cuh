/* Repeated lines, paragraphs and n-grams of each text, exactly: equal hashes compare characters. Needs text_words.cuh.
 *
 * Every text has a hash table of its own in one array, two slots for each of its pieces. A gram claims a free slot with its
 * number, or finds the one that an equal gram has claimed: claims never change within a launch, so that all equal grams
 * walk the same slots and stop at the same one. */

#define NOWHERE 0xFFFFFFFFu /* a gram that would reach beyond its text */
#define SEEN 0xFFFFFFFFu    /* instead of a slot's copies: one of them was passed */
#define BASE 0x9E3779B97F4A7C15ull

static __device__ u32 asked(u32* claim, u32 mine); /* of text_stats.cu: 0 for the first to ask, who gets it; else whose it is */

/* Pieces of all texts in order: their characters, texts, and where in the list those of each text begin. */
typedef struct { const u32* chars; const i32* starts; const i32* stops; const i32* rows; const i64* edges; i64 count; } List;

/* The text that place `at` is in: the last one that begins at or before it. */
static __device__ i32 row_of(const i64* places, i64 rows, i64 at) {
    i64 low = 0, high = rows - 1;
    while (low < high) {
        i64 middle = (low + high + 1) / 2;
        if (places[middle] <= at) low = middle;
        else high = middle - 1;
    }
    return (i32)low;
}

/* How many of rising `starts` are below `place`. */
static __device__ i64 starts_below(const i32* starts, i64 count, i64 place) {
    i64 low = 0, high = count;
    while (low < high) {
        i64 middle = (low + high) / 2;
        if (starts[middle] < place) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* A polynomial over code points: that of n pieces grows from that of n - 1 by one multiplication. */
static __device__ u64 piece_hash(const u32* chars, i32 start, i32 stop, u64* power) {
    u64 value = 0;
    *power = 1;
    for (i32 i = start; i < stop; i++) {
        value = value * BASE + chars[i] + 1;
        *power *= BASE;
    }
    return value;
}

/* Whether pieces i .. i + n - 1 equal pieces j .. j + n - 1 one by one. */
static __device__ int same_pieces(List list, i64 i, i64 j, i64 n) {
    for (i64 k = 0; k < n; k++) {
        i32 size = list.stops[i + k] - list.starts[i + k];
        if (size != list.stops[j + k] - list.starts[j + k]) return 0;
        for (i32 at = 0; at < size; at++)
            if (list.chars[list.starts[i + k] + at] != list.chars[list.starts[j + k] + at]) return 0;
    }
    return 1;
}

/* Whether the characters of n pieces in a row are equal, wherever they are cut. */
static __device__ int same_joined(List list, i64 i, i64 j, i64 n) {
    i64 last_left = i + n, last_right = j + n;
    i32 left = list.starts[i], right = list.starts[j];
    while (i < last_left && j < last_right) {
        if (list.chars[left++] != list.chars[right++]) return 0;
        if (left == list.stops[i] && ++i < last_left) left = list.starts[i];
        if (right == list.stops[j] && ++j < last_right) right = list.starts[j];
    }
    return i == last_left && j == last_right;
}

/* Whether n pieces from i on are there: all in one text, and none of them empty. */
static __device__ int is_gram(List list, i64 i, i64 n) {
    return i + n <= list.count && list.rows[i + n - 1] == list.rows[i] && list.starts[i] < list.stops[i];
}

/* The slot of the gram at i among those of its text. */
static __device__ u32 slot_of(List list, const u64* grams, u32* claims, i64 i, i64 n, int joined) {
    i64 row = list.rows[i], base = 2 * list.edges[row];
    u64 room = 2 * (u64)(list.edges[row + 1] - list.edges[row]), mixed = (grams[i] ^ grams[i] >> 29) * 0xBF58476D1CE4E5B9ull;
    u64 at = (mixed >> 32) * room >> 32;
    for (;; at = at + 1 == room ? 0 : at + 1) {
        u32 owner = asked(claims + base + at, (u32)i + 1);
        if (!owner) break;
        i64 other = (i64)owner - 1;
        if (grams[other] == grams[i] && (joined ? same_joined(list, other, i, n) : same_pieces(list, other, i, n))) break;
    }
    return (u32)(base + (i64)at);
}

/* Characters of the n pieces from i on; `ends` are sums of sizes. */
static __device__ i64 gram_size(const i64* ends, i64 i, i64 n) { return sum_before(ends, i + n) - sum_before(ends, i); }

/* Characters of the grams of a text that were seen before; after a hit its pieces are skipped. `copies` is used up. */
static __device__ i64 repeated(List list, i64 row, i64 n, const i64* ends, const u32* where, u32* copies) {
    i64 total = 0, at = list.edges[row];
    while (at + n <= list.edges[row + 1]) {
        u32 there = copies[where[at]];
        if (there == SEEN) total += gram_size(ends, at, n), at += n;
        else {
            if (there > 1) copies[where[at]] = SEEN;
            at++;
        }
    }
    return total;
}

/* Whether piece i stands in a gram that is there twice. */
static __device__ int is_covered_by_copies(List list, i64 i, i64 n, const u32* where, const u32* copies) {
    i64 first = list.edges[list.rows[i]];
    for (i64 gram = i; gram > i - n && gram >= first; gram--)
        if (where[gram] != NOWHERE && copies[where[gram]] > 1) return 1;
    return 0;
}
