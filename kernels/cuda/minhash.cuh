/* MinHash, scheme affine32: words of a text, hashes of its shingles. Needs common.cuh (types and decode) and stretch.cuh.
 *
 * The tables are one block: i64 offsets of {index, classes, lower case}, two-stage by code point. A text becomes words
 * in lower case joined by one blank (unit bounds beside it); a shingle is n units with what stands between them. */

enum { T_CLASS_INDEX, T_CLASSES, T_LOWER_INDEX, T_LOWER };
enum { WORD_BITS = 7, SINGLE_BIT = 256 }; /* letter | number | mark, and scripts whose characters are words */
#define EMPTY_SLOT 0xFFFFFFFFu

static __device__ int encode_utf8(u32 code, u8* out) {
    if (code < 0x80) {
        out[0] = (u8)code;
        return 1;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    out[0] = (u8)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | code >> (6 * more));
    for (int k = 1; k <= more; k++) out[k] = (u8)(0x80 | (code >> (6 * (more - k)) & 0x3F));
    return more + 1;
}

static __device__ u32 bits_at(const u8* tables, const u8* text, i64 at, i64 end, int* length, u32* code) {
    *code = decode(text, at, end, length);
    return looked_up(tables, T_CLASS_INDEX, T_CLASSES, *code, 0);
}

static __device__ int goes_on(u32 bits) { return (bits & WORD_BITS) != 0 && !(bits & SINGLE_BIT); } /* a word, if one is open */

/* How far the words of a text are written. A blank leads each of them, the first one too. */
typedef struct { i32 size, units; i32 words; int is_broken; } Filled;

/* Where the first character of a stretch begins, and whether a word is open there: told by the character before. */
static __device__ i64 entered(const u8* tables, const u8* text, i64 begin, i64 from, i64 end, int* inside) {
    int length;
    u32 code;
    i64 lead = lead_before(text, begin, from);
    *inside = 0;
    if (from == begin) return from;
    *inside = goes_on(bits_at(tables, text, lead, end, &length, &code));
    return lead + length > from ? lead + length : from;
}

static __device__ void bound(i32* bounds, i32 unit, i32 size) { if (bounds && unit >= 0) bounds[unit] = size; }

/* The characters of a text from `begin` to `end` that begin between `from` and `stop`: counted, or with `out` written behind
 * `filled`. By characters the units are those of the words and of the blanks between them: the very first blank, unit -1,
 * is none. By words, the stretch that has a word's last character writes where the word ends. */
static __device__ Filled pass_stretch(
    const u8* tables, const u8* text, i64 begin, i64 end, i64 from, i64 stop, int characters, Filled filled, u8* out,
    i32* begins, i32* ends
) {
    int inside, is_open = 0, length;
    u32 code;
    i64 at = entered(tables, text, begin, from, end, &inside);
    while (at < stop) {
        u32 bits = bits_at(tables, text, at, end, &length, &code);
        int in_word = (bits & WORD_BITS) != 0, opens = in_word && !(inside && goes_on(bits));
        if (code == INVALID && length == 1) filled.is_broken = 1;
        if (is_open && (opens || !in_word)) bound(ends, filled.units - 1, filled.size);
        is_open = in_word && !characters;
        if (opens) {
            filled.words++;
            if (characters) bound(begins, filled.units, filled.size), bound(ends, filled.units++, filled.size + 1);
            if (out) out[filled.size] = ' ';
            filled.size++;
        }
        if (in_word) {
            u8 bytes[4];
            int more = encode_utf8(looked_up(tables, T_LOWER_INDEX, T_LOWER, code, 1), bytes);
            if (opens || characters) bound(begins, filled.units++, filled.size);
            for (int k = 0; k < more && out; k++) out[filled.size + k] = bytes[k];
            filled.size += more;
            if (characters) bound(ends, filled.units - 1, filled.size);
        }
        inside = goes_on(bits);
        at += length;
    }
    if (is_open && !(inside && at < end && goes_on(bits_at(tables, text, at, end, &length, &code))))
        bound(ends, filled.units - 1, filled.size);
    return filled;
}

static __device__ u64 turned(u64 value, int bits) { return value << bits | value >> (64 - bits); }

static __device__ u64 word_at(const u8* data, int size) {
    u64 value = 0;
    for (int k = size - 1; k >= 0; k--) value = value << 8 | data[k];
    return value;
}

#define P1 0x9E3779B185EBCA87ull
#define P2 0xC2B2AE3D27D4EB4Full
#define P3 0x165667B19E3779F9ull
#define P4 0x85EBCA77C2B2AE63ull
#define P5 0x27D4EB2F165667C5ull

static __device__ u64 xxh64_round(u64 lane, u64 word) { return turned(lane + word * P2, 31) * P1; }

/* xxHash64 with seed 0 (Y. Collet, XXH64 algorithm description). */
static __device__ u64 xxh64(const u8* data, i64 size) {
    i64 at = 0;
    u64 value = P5;
    if (size >= 32) {
        u64 a = P1 + P2, b = P2, c = 0, d = 0 - P1;
        for (; at + 32 <= size; at += 32) {
            a = xxh64_round(a, word_at(data + at, 8));
            b = xxh64_round(b, word_at(data + at + 8, 8));
            c = xxh64_round(c, word_at(data + at + 16, 8));
            d = xxh64_round(d, word_at(data + at + 24, 8));
        }
        value = turned(a, 1) + turned(b, 7) + turned(c, 12) + turned(d, 18);
        value = (value ^ xxh64_round(0, a)) * P1 + P4;
        value = (value ^ xxh64_round(0, b)) * P1 + P4;
        value = (value ^ xxh64_round(0, c)) * P1 + P4;
        value = (value ^ xxh64_round(0, d)) * P1 + P4;
    }
    value += (u64)size;
    for (; at + 8 <= size; at += 8) value = turned(value ^ xxh64_round(0, word_at(data + at, 8)), 27) * P1 + P4;
    if (at + 4 <= size) {
        value = turned(value ^ word_at(data + at, 4) * P1, 23) * P2 + P3;
        at += 4;
    }
    for (; at < size; at++) value = turned(value ^ data[at] * P5, 11) * P1;
    value = (value ^ value >> 33) * P2;
    value = (value ^ value >> 29) * P3;
    return value ^ value >> 32;
}

static __device__ u32 fmix32(u32 value) { /* A. Appleby, MurmurHash3 */
    value = (value ^ value >> 16) * 0x85EBCA6Bu;
    value = (value ^ value >> 13) * 0xC2B2AE35u;
    return value ^ value >> 16;
}

/* How many shingles `units` units have: all of them are one where they are fewer than n. */
static __device__ i64 shingles_of(i64 units, i64 n) { return units == 0 ? 0 : units <= n ? 1 : units - n + 1; }

static __device__ u32 shingle_hash(const u8* words, const i32* begins, const i32* ends, i64 units, i64 n, i64 i) {
    i64 last = i + n <= units ? i + n - 1 : units - 1;
    return fmix32((u32)xxh64(words + begins[i], ends[last] - begins[i]));
}

/* The smallest of factor * hash + shift over some hashes, and of `best`. */
static __device__ u32 least(const u32* hashes, int count, u32 factor, u32 shift, u32 best) {
    for (int i = 0; i < count; i++) {
        u32 value = factor * hashes[i] + shift;
        if (value < best) best = value;
    }
    return best;
}
