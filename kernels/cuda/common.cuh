/* Types, the model blob, UTF-8. Plain C99: compiled by NVRTC for the GPU and by a host compiler for the tests.
 *
 * A model is one block of bytes: 24 words of header, then tables at the byte offsets that the header names
 * (encoder_tables.py writes it). Nothing here reads outside the text it is given, whatever its bytes are. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef int i32;

enum { PATTERN_GPT2, PATTERN_CL100K, PATTERN_LLAMA3, PATTERN_QWEN2, PATTERN_O200K, PATTERN_UNITS };
enum { OTHER, LETTER, DIGIT, SPACE };                  /* kind: low two bits of a class */
enum { CASELESS, UPPER, LOWER, UNCASED, MARK };        /* case: the bits above */
enum {
    M_PATTERN, M_DUMMY, M_SPACE, M_CLASS_INDEX, M_CLASSES, M_BYTES, M_PAIRS, M_PAIR_IDS, M_PAIR_MASK,
    M_CHAR_INDEX, M_CHARS, M_WHOLE, M_WHOLE_MASK, M_WHOLE_MAX, M_ARENA, M_LARGEST_ID
};
#define NO_SYMBOL 0x1FFFFFu /* a character without a piece; also "no merge" as a priority */
#define NO_SLOT 0xFFFFFFFFFFFFFFFFull
#define CODE_BLOCK 128      /* code points in a block of a two-stage table */
#define INVALID 0xFFFDu     /* what a byte that is no UTF-8 counts as */

static __device__ i64 word_of(const u8* model, int name) { return ((const i64*)model)[name]; }
static __device__ const void* table_of(const u8* model, int name) { return model + word_of(model, name); }

/* Kept out of line: most text is ASCII, and the kernels stay small. */
static __device__ __noinline__ u32 decode_wide(const u8* text, i64 at, i64 end, int* length) {
    u32 first = text[at];
    int more = first < 0xC2 ? -1 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : -1;
    u32 code = first & (0x7Fu >> (more > 0 ? more + 1 : 0));
    *length = 1;
    if (more < 0 || at + more >= end) return INVALID;
    for (int k = 1; k <= more; k++) {
        if ((text[at + k] & 0xC0) != 0x80) return INVALID;
        code = code << 6 | (text[at + k] & 0x3F);
    }
    if (more == 2 && (code < 0x800 || code >> 11 == 0x1B)) return INVALID; /* longer than need be; a surrogate */
    if (more == 3 && (code < 0x10000 || code > 0x10FFFF)) return INVALID;
    *length = more + 1;
    return code;
}

/* The character at `at` (< end) and its length in bytes; a broken one is INVALID and one byte long. */
static __device__ u32 decode(const u8* text, i64 at, i64 end, int* length) {
    *length = 1;
    return text[at] < 0x80 ? text[at] : decode_wide(text, at, end, length);
}

static __device__ int is_inner(u8 byte) { return (byte & 0xC0) == 0x80; } /* of a character, behind its first byte */

static __device__ u32 class_of(const u8* model, u32 code) {
    if (code < CODE_BLOCK) return ((const u8*)table_of(model, M_CLASSES))[code]; /* ASCII is the first block */
    u32 block = ((const u16*)table_of(model, M_CLASS_INDEX))[code / CODE_BLOCK];
    return ((const u8*)table_of(model, M_CLASSES))[block * CODE_BLOCK + code % CODE_BLOCK];
}

/* A character looked at: its code, its class, where the next one begins. Beyond the end: `is_there` is 0. */
typedef struct { u32 code; u32 kind; u32 cased; i64 next; int is_there; } Char;

static __device__ Char char_at(const u8* model, const u8* text, i64 at, i64 end) {
    Char found = {0, 255, 255, at, 0};
    if (at >= end) return found;
    int length;
    found.code = decode(text, at, end, &length);
    u32 both = class_of(model, found.code);
    found.kind = both & 3;
    found.cased = both >> 2;
    found.next = at + length;
    found.is_there = 1;
    return found;
}

static __device__ int is_newline(u32 code) { return code == 10 || code == 13; }

/* --- a bit for each byte of the text, 32 to a word --------------------------------------------------------------------- */

static __device__ int bit_at(const u32* bits, i64 at) { return (int)(bits[at >> 5] >> (at & 31) & 1); }

#ifdef __CUDA_ARCH__ /* one instruction each */
static __device__ int bits_in(u32 word) { return __popc((i32)word); }
static __device__ int highest_bit(u32 word) { return 31 - __clz((i32)word); }
#else
static __device__ int bits_in(u32 word) {
    word -= word >> 1 & 0x55555555u;
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    return (int)(((word + (word >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24);
}

static __device__ int highest_bit(u32 word) {
    for (int step = 1; step < 32; step *= 2) word |= word >> step;
    return bits_in(word) - 1;
}
#endif

static __device__ int lowest_bit(u32 word) { return bits_in((word & (0u - word)) - 1); }
