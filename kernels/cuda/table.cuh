/* The word table: pieces of at most KEYED bytes and their ids, kept from batch to batch. Needs common.cuh and bpe.cuh.
 *
 * A slot of 64 bytes holds the piece itself, so equality is exact, and up to 16 ids. Which slot a piece has is settled in
 * three launches, so that no thread ever reads a slot that another one writes:
 *   probe   reads slots and writes none. A piece that is not there claims a free slot by putting its place in the text
 *           into `claims`; whoever comes second compares the two pieces, byte by byte, in the text.
 *   fill    one thread for each claimed slot merges the piece and writes key and ids.
 *   emit    reads.
 * Claims never change within a launch, so all threads with equal pieces walk the same slots and stop at the same one. A
 * piece that finds PROBES slots taken by others is encoded without the table. Slots are freed all at once or never. */

#define KEYED 15
#define PROBES 16
#define SLOT_IDS 16 /* a byte gives an id at most, the dummy prefix one more */
#define FIELD 0x1FFFFFu

typedef struct { u64 low, high; } Key; /* bytes 0-7; bytes 8-14, and size | prefix << 7 on top: never 0 */
typedef struct { Key key; u64 ids[6]; } Slot; /* three ids of 21 bits in each word, NO_SYMBOL behind the last */

/* Of encode.cu, since they need atomics. */
static __device__ u64 claimed(u64* claim, u64 mine); /* 0 for the first to ask, who gets it; else whose it is */
static __device__ u32 appended(u32* count);          /* a number of its own for each caller */
static __device__ void set_bit(u32* bits, i64 at);
static __device__ void raised(u64* cell, u64 value); /* the larger of both, whoever comes first */
static __device__ void heightened_to(u32* cell, u32 value); /* the same */

/* Reads the aligned words around: the text lies on 8 bytes and has 32 spare bytes behind it. */
static __device__ Key key_of(const u8* text, i64 begin, i64 size, int dummy) {
    const u64* words = (const u64*)text + begin / 8;
    int shift = (int)(begin % 8) * 8;
    u64 low = words[0] >> shift, high = words[1] >> shift;
    if (shift) {
        low |= words[1] << (64 - shift);
        high |= words[2] << (64 - shift);
    }
    Key key = {size < 8 ? low & ((1ull << 8 * size) - 1) : low, size > 8 ? high & ((1ull << 8 * (size - 8)) - 1) : 0};
    key.high |= (u64)(size | dummy << 7) << 56;
    return key;
}

static __device__ int same_key(Key a, Key b) { return a.low == b.low && a.high == b.high; }

static __device__ u64 claim_of(i64 begin, i64 size, int dummy) { return (u64)begin << 8 | (u64)(size | dummy << 7); }

static __device__ i64 claim_begin(u64 claim) { return (i64)(claim >> 8); }
static __device__ i64 claim_size(u64 claim) { return (i64)(claim & 15); }
static __device__ int claim_dummy(u64 claim) { return (int)(claim >> 7 & 1); }

static __device__ Key claim_key(const u8* text, u64 claim) {
    return key_of(text, claim_begin(claim), claim_size(claim), claim_dummy(claim));
}

static __device__ u64 spread(u64 value) {
    value = (value ^ value >> 32) * 0x9E3779B97F4A7C15ull;
    return value ^ value >> 32;
}

/* The slot of a piece of 1 to KEYED bytes, NO_PLACE where it can have none; `*is_new` where this thread must fill it. */
static __device__ i32 slot_of(
    const u8* text, const Slot* slots, u64* claims, u64 mask, i64 begin, i64 size, int dummy, int* is_new
) {
    Key key = key_of(text, begin, size, dummy);
    u64 at = spread(spread(key.low) ^ key.high) & mask, mine = claim_of(begin, size, dummy);
    for (int step = 0; step < PROBES; step++, at = (at + 1) & mask) {
        Key there = slots[at].key;
        if (same_key(there, key)) return (i32)at;
        if (there.high) continue;
        u64 owner = claimed(claims + at, mine);
        *is_new = owner == 0;
        if (*is_new || same_key(claim_key(text, owner), key)) return (i32)at;
    }
    return NO_PLACE;
}

static __device__ u32 slot_id(const Slot* slot, int k) { return (u32)(slot->ids[k / 3] >> 21 * (k % 3)) & FIELD; }

static __device__ i32 slot_count(const Slot* slot) {
    i32 count = 0;
    while (count < SLOT_IDS && slot_id(slot, count) != NO_SYMBOL) count++;
    return count;
}

static __device__ void slot_fill(Slot* slot, Key key, const i32* ids, i32 count) {
    for (int word = 0; word < 6; word++) {
        u64 packed = 0;
        for (int k = 2; k >= 0; k--) packed = packed << 21 | (3 * word + k < count ? (u32)ids[3 * word + k] : NO_SYMBOL);
        slot->ids[word] = packed;
    }
    slot->key = key;
}
