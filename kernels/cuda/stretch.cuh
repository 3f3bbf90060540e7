/* Texts cut into stretches, one for each thread, whatever characters stand at the cuts; two-stage tables. Needs common.cuh. */

#define STRETCH 1024 /* bytes of a text that one thread reads */

static __device__ u32 looked_up(const u8* tables, int index, int blocks, u32 code, int wide) {
    u32 block = ((const u16*)(tables + ((const i64*)tables)[index]))[code / CODE_BLOCK];
    const u8* table = tables + ((const i64*)tables)[blocks];
    u32 at = block * CODE_BLOCK + code % CODE_BLOCK;
    return wide ? ((const u32*)table)[at] : ((const u16*)table)[at];
}

/* Stretch i of all: its text, and its place in it. `firsts` are the texts' first stretches. */
typedef struct { i64 row, begin, end, from, stop; } Stretch;

static __device__ Stretch stretch_of(const i64* offsets, const i64* firsts, const i32* rows, i64 i) {
    i64 row = rows[i], begin = offsets[row], end = offsets[row + 1], from = begin + STRETCH * (i - firsts[row]);
    Stretch found = {row, begin, end, from, from + STRETCH < end ? from + STRETCH : end};
    return found;
}

static __device__ i64 sum_before(const i64* sums, i64 i) { return i ? sums[i - 1] : 0; }

/* Where the character begins that has the byte before `from`, as far as can be seen: bytes may be no UTF-8. */
static __device__ i64 lead_before(const u8* text, i64 begin, i64 from) {
    i64 lead = from - 1;
    while (lead > begin && from - lead < 4 && is_inner(text[lead])) lead--;
    return lead;
}

/* Where the first character of a stretch begins: one that began before it belongs to the stretch before. */
static __device__ i64 first_begun(const u8* text, i64 begin, i64 from, i64 end) {
    int length;
    if (from == begin) return from;
    i64 lead = lead_before(text, begin, from);
    decode(text, lead, end, &length);
    return lead + length > from ? lead + length : from;
}
