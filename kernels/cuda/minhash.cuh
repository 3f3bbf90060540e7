/* MinHash, scheme affine32: words of a text, hashes of its shingles. Needs common.cuh (types and decode).
 *
 * The tables are one block: i64 offsets of {index, classes, lower case}, two-stage by code point. A text becomes words
 * in lower case joined by one blank (unit bounds beside it); a shingle is n units with what stands between them. */

enum { T_CLASS_INDEX, T_CLASSES, T_LOWER_INDEX, T_LOWER };
enum { WORD_BITS = 7, SINGLE_BIT = 256 }; /* letter | number | mark, and scripts whose characters are words */
#define EMPTY_SLOT 0xFFFFFFFFu

static __device__ u32 looked_up(const u8* tables, int index, int blocks, u32 code, int wide) {
    u32 block = ((const u16*)(tables + ((const i64*)tables)[index]))[code / CODE_BLOCK];
    const u8* table = tables + ((const i64*)tables)[blocks];
    u32 at = block * CODE_BLOCK + code % CODE_BLOCK;
    return wide ? ((const u32*)table)[at] : ((const u16*)table)[at];
}

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

/* One text: its words into `out` (room for twice its bytes), bounds of its units (one for each byte at most), of which
 * there are `*found`; returns the number of words, or -1 where the text is not UTF-8. */
static __device__ i64 pass_words(
    const u8* tables, const u8* text, i64 begin, i64 end, int characters, u8* out, i32* begins, i32* ends,
    i64* found
) {
    i32 size = 0, units = 0;
    i64 words = 0;
    int inside = 0;
    *found = 0;
    for (i64 at = begin; at < end;) {
        int length;
        u32 code = decode(text, at, end, &length), bits = looked_up(tables, T_CLASS_INDEX, T_CLASSES, code, 0);
        if (code == INVALID && length == 1) return -1;
        at += length;
        int in_word = (bits & WORD_BITS) != 0, single = (bits & SINGLE_BIT) != 0;
        if (in_word) {
            int opens = single || !inside;
            if (opens && words++ > 0) {
                if (characters) {
                    begins[units] = size;
                    ends[units++] = size + 1;
                }
                out[size++] = ' ';
            }
            if (opens || characters) begins[units++] = size;
            size += encode_utf8(looked_up(tables, T_LOWER_INDEX, T_LOWER, code, 1), out + size);
            ends[units - 1] = size;
        }
        inside = in_word && !single;
    }
    *found = units;
    return words;
}

static __device__ u64 turned(u64 value, int bits) { return value << bits | value >> (64 - bits); }

static __device__ u64 bytes_at(const u8* data, int size) {
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
            a = xxh64_round(a, bytes_at(data + at, 8));
            b = xxh64_round(b, bytes_at(data + at + 8, 8));
            c = xxh64_round(c, bytes_at(data + at + 16, 8));
            d = xxh64_round(d, bytes_at(data + at + 24, 8));
        }
        value = turned(a, 1) + turned(b, 7) + turned(c, 12) + turned(d, 18);
        value = (value ^ xxh64_round(0, a)) * P1 + P4;
        value = (value ^ xxh64_round(0, b)) * P1 + P4;
        value = (value ^ xxh64_round(0, c)) * P1 + P4;
        value = (value ^ xxh64_round(0, d)) * P1 + P4;
    }
    value += (u64)size;
    for (; at + 8 <= size; at += 8) value = turned(value ^ xxh64_round(0, bytes_at(data + at, 8)), 27) * P1 + P4;
    if (at + 4 <= size) {
        value = turned(value ^ bytes_at(data + at, 4) * P1, 23) * P2 + P3;
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
