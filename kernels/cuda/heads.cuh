/* Where pieces surely begin, told by the characters around alone. Needs common.cuh and split.cuh.
 *
 * Every byte is a HEAD (a piece surely begins there), JOINED (none begins there) or ODD (not known from here:
 * contractions, the third digit of a run, blanks behind a newline, marks). What is said of the bytes between two heads
 * holds if none of them is odd; else a thread reads all pieces from the head on (passes.cuh). So a JOINED byte behind
 * an odd one may be wrong, a HEAD never is. In short: no piece goes on behind a letter or a digit into another kind, a
 * space leads what is behind it, other blanks lead letters (not in GPT-2), newlines end a run of other characters.
 *
 * verdict_of() says it of one character; ascii_verdicts() the same of 32 bytes of ASCII at once, by boolean algebra,
 * and of most indents that they begin a piece. */

enum { JOINED, HEAD, ODD };
typedef struct { u32 heads, odd; } Verdicts;

static __device__ int verdict_of_blank(int pattern, Char before, Char here, Char next) {
    int is_last = next.is_there && next.kind != SPACE;
    if (before.kind == LETTER || before.kind == DIGIT) return HEAD;
    if (pattern == PATTERN_GPT2) return before.kind != SPACE || is_last ? HEAD : JOINED;
    if (is_newline(here.code)) return before.cased == MARK ? ODD : JOINED;
    if (before.kind != SPACE || is_last) return HEAD;
    return is_newline(before.code) ? ODD : JOINED; /* a head if no newline follows in the run */
}

/* Behind a letter, for o200k: capitals begin a word behind small letters, but for those of a contraction. */
static __device__ int verdict_of_case(Char older, Char before, Char here) {
    if (here.cased == LOWER || here.cased == before.cased) return JOINED;
    return here.cased == UPPER && before.cased == LOWER && older.code != '\'' ? HEAD : ODD;
}

static __device__ int verdict_of_letter(int pattern, Char older, Char before, Char here) {
    if (before.kind == LETTER) return pattern == PATTERN_O200K ? verdict_of_case(older, before, here) : JOINED;
    if (before.kind == DIGIT || is_newline(before.code)) return HEAD;
    if (before.kind == SPACE) return pattern == PATTERN_GPT2 && before.code != ' ' ? HEAD : JOINED;
    if (pattern == PATTERN_GPT2) return before.code == '\'' ? ODD : HEAD;
    if (pattern == PATTERN_O200K && (before.cased == MARK || older.cased == MARK || older.code == '/')) return ODD;
    if (older.is_there && (older.kind == OTHER || older.code == ' ')) return HEAD; /* `before` ends a run of its kind */
    return before.code == '\'' ? ODD : JOINED;
}

static __device__ int verdict_of_digit(int pattern, Char older, Char before) {
    if (before.kind != DIGIT) return pattern == PATTERN_GPT2 && before.code == ' ' ? JOINED : HEAD;
    if (pattern == PATTERN_GPT2) return JOINED;
    if (pattern == PATTERN_QWEN2) return HEAD;
    return older.is_there && older.kind == DIGIT ? ODD : JOINED;
}

static __device__ int verdict_of_other(int pattern, Char before, Char here) {
    int is_o200k = pattern == PATTERN_O200K;
    if (before.kind == DIGIT) return HEAD;
    if (is_newline(before.code)) return is_o200k && here.code == '/' ? ODD : HEAD; /* a '/' may follow newlines */
    if (before.code == ' ') return JOINED;
    if (is_o200k && (here.cased == MARK || before.cased == MARK)) return ODD; /* marks belong to words */
    if (before.kind == LETTER) return is_o200k && here.code == '\'' ? ODD : HEAD;
    return before.kind == SPACE ? HEAD : JOINED;
}

/* Of `here`, which is not the first of its document; `next` or `older`, before `before`, may be not there. */
static __device__ int verdict_of(int pattern, Char older, Char before, Char here, Char next) {
    if (here.kind == SPACE) return verdict_of_blank(pattern, before, here, next);
    if (here.kind == LETTER) return verdict_of_letter(pattern, older, before, here);
    if (here.kind == DIGIT) return verdict_of_digit(pattern, older, before);
    return verdict_of_other(pattern, before, here);
}

/* --- 32 bytes of ASCII -------------------------------------------------------------------------------------------- */

/* A bit for each byte that is of a kind. */
typedef struct { u32 letter, upper, digit, blank, space, newline, quote, slash; } Kinds;

/* Byte k of the result has bit k of each of the eight bytes. */
static __device__ u64 transposed(u64 eight) {
    u64 swap = (eight ^ eight >> 7) & 0x00AA00AA00AA00AAull;
    eight ^= swap ^ swap << 7;
    swap = (eight ^ eight >> 14) & 0x0000CCCC0000CCCCull;
    eight ^= swap ^ swap << 14;
    swap = (eight ^ eight >> 28) & 0x00000000F0F0F0F0ull;
    return eight ^ swap ^ swap << 28;
}

/* Bit `plane` of all 32 bytes. */
static __device__ u32 plane_of(u64 a, u64 b, u64 c, u64 d, int plane) {
    int shift = 8 * plane;
    return ((u32)(a >> shift) & 255) | ((u32)(b >> shift) & 255) << 8 | ((u32)(c >> shift) & 255) << 16
        | ((u32)(d >> shift) & 255) << 24;
}

static __device__ Kinds kinds_of(const u64* eights) {
    u64 a = transposed(eights[0]), b = transposed(eights[1]), c = transposed(eights[2]), d = transposed(eights[3]);
    u32 b0 = plane_of(a, b, c, d, 0), b1 = plane_of(a, b, c, d, 1), b2 = plane_of(a, b, c, d, 2);
    u32 b3 = plane_of(a, b, c, d, 3), b4 = plane_of(a, b, c, d, 4), b5 = plane_of(a, b, c, d, 5);
    u32 b6 = plane_of(a, b, c, d, 6);
    u32 signs = ~b6 & b5 & ~b4, controls = ~b6 & ~b5 & ~b4; /* 20-2F, 00-0F */
    Kinds found;
    found.letter = b6 & (b4 | b3 | b2 | b1 | b0) & ~(b4 & b3 & (b2 | (b1 & b0))); /* 41-5A, 61-7A */
    found.upper = found.letter & ~b5;
    found.digit = ~b6 & b5 & b4 & ~(b3 & (b2 | b1)); /* 30-39 */
    found.space = signs & ~(b3 | b2 | b1 | b0);
    found.quote = signs & ~b3 & b2 & b1 & b0;
    found.slash = signs & b3 & b2 & b1 & b0;
    found.blank = found.space | (controls & b3 & (b2 | b1 | b0) & ~(b2 & b1)); /* 09-0D */
    found.newline = controls & b3 & (b2 ^ b1) & ~(b2 ^ b0);                    /* 0A, 0D */
    return found;
}

/* The same of one byte, as bit 0. */
static __device__ Kinds kinds_of_byte(u32 byte) {
    Kinds found = {(byte | 32) - 'a' < 26, byte - 'A' < 26, byte - '0' < 10, byte == ' ' || byte - 9 < 5, byte == ' ',
                   byte == 10 || byte == 13, byte == '\'', byte == '/'};
    return found;
}

/* The kinds of the bytes before. */
static __device__ Kinds shifted(Kinds here, Kinds before) {
    Kinds found = {here.letter << 1 | before.letter, here.upper << 1 | before.upper, here.digit << 1 | before.digit,
                   here.blank << 1 | before.blank, here.space << 1 | before.space, here.newline << 1 | before.newline,
                   here.quote << 1 | before.quote, here.slash << 1 | before.slash};
    return found;
}

static __device__ u32 others(Kinds kinds) { return ~(kinds.letter | kinds.digit | kinds.blank); }

static __device__ Verdicts gpt2_verdicts(Kinds here, Kinds before, u32 is_last) {
    u32 word = before.letter | before.digit, seen = ~here.blank, tab = before.blank & ~before.space;
    Verdicts found = {here.blank & (~before.blank | is_last), here.letter & before.quote};
    found.heads |= seen & (tab | (here.digit & ~before.digit & ~before.space) | (others(here) & word));
    found.heads |= here.letter & (before.digit | (others(before) & ~before.quote));
    return found;
}

/* `has_older`: the byte before is not the first of its document. */
static __device__ Verdicts other_verdicts(
    int pattern, Kinds here, Kinds before, Kinds older, u32 has_older, u32 is_last
) {
    u32 o200k = pattern == PATTERN_O200K ? ~0u : 0, qwen2 = pattern == PATTERN_QWEN2 ? ~0u : 0;
    u32 word = before.letter | before.digit, tab = before.blank & ~before.space & ~before.newline;
    u32 behind_slash = o200k & has_older & older.slash & others(before);
    u32 run = others(before) & has_older & ((others(older) & ~behind_slash) | older.space);
    u32 odd_slash = o200k & here.slash;
    u32 odd_quote = o200k & here.quote & before.letter, capital = o200k & here.upper & before.letter & ~before.upper;
    Verdicts found;
    found.heads = here.blank & (word | (~here.newline & (~before.blank | is_last)));
    found.heads |= ~here.blank & before.newline & ~odd_slash;
    found.heads |= here.digit & (~before.digit | qwen2);
    found.heads |= others(here) & (before.digit | tab | (before.letter & ~odd_quote));
    found.heads |= (here.letter & (before.digit | run)) | (capital & ~(has_older & older.quote));
    found.odd = (here.blank & ~here.newline & before.newline) | (odd_slash & before.newline) | odd_quote;
    found.odd |= (here.digit & before.digit & older.digit & has_older) | capital;
    found.odd |= here.letter & (before.quote | behind_slash);
    return found;
}

/* Of odd blanks behind a newline those whose run ends in the same word, at a visible byte of the same document: no
 * newline follows them, so they begin a piece. */
static __device__ u32 indents(u32 odd, Kinds here, u32 firsts) {
    u32 run = here.blank & ~here.newline & ~firsts, found = 0;
    for (u32 left = odd & run; left; left &= left - 1) {
        u32 lowest = left & (0u - left), end = (run + lowest) & ~run; /* the carry runs through the blanks */
        if (end & ~here.newline & ~firsts) found |= lowest;
    }
    return found;
}

/* Of 32 bytes of ASCII from `begin`, and ASCII around them. */
static __device__ Verdicts ascii_verdicts(int pattern, const u8* text, const u32* firsts, i64 size, i64 begin) {
    u32 first = firsts[begin >> 5], one = 0, two = 0, was_first = 0, ends = 1, next = 0;
    if (begin) one = text[begin - 1], two = text[begin - 2], was_first = firsts[(begin >> 5) - 1] >> 31;
    if (begin + 32 < size) next = text[begin + 32], ends = firsts[(begin >> 5) + 1] & 1;
    Kinds here = kinds_of((const u64*)(text + begin)), before = shifted(here, kinds_of_byte(one));
    Kinds older = shifted(before, kinds_of_byte(two));
    u32 is_last = ~(first >> 1 | ends << 31) & ~(here.blank >> 1 | kinds_of_byte(next).blank << 31);
    u32 has_older = ~(first << 1 | was_first);
    Verdicts found = pattern == PATTERN_GPT2 ? gpt2_verdicts(here, before, is_last)
                                             : other_verdicts(pattern, here, before, older, has_older, is_last);
    found.heads |= first | indents(found.odd & ~found.heads, here, first);
    found.odd &= ~found.heads;
    return found;
}

/* Whether ascii_verdicts() may be asked. Reads whole words: the text lies on 8 bytes, 32 spare bytes are behind it. */
static __device__ int is_ascii(const u8* text, i64 size, i64 begin) {
    const u64* eights = (const u64*)(text + begin);
    u32 around = begin ? text[begin - 1] | text[begin - 2] : 0;
    if (begin + 32 > size) return 0;
    if (begin + 32 < size) around |= text[begin + 32];
    return !((eights[0] | eights[1] | eights[2] | eights[3] | around) & 0x8080808080808080ull);
}

/* --- any bytes ---------------------------------------------------------------------------------------------------- */

/* The character that ends at `at`, which is not the first byte of the text; where it begins. */
static __device__ Char char_before(const u8* model, const u8* text, i64 at, i64* begin) {
    i64 least = at > 4 ? at - 4 : 0;
    *begin = at - 1;
    while (*begin > least && is_inner(text[*begin])) --*begin;
    return char_at(model, text, *begin, at);
}

static __device__ Verdicts unit_verdicts(const u8* text, i64 size, const u32* firsts, i64 begin, i64 stop) {
    Verdicts found = {firsts[begin >> 5], 0};
    for (i64 at = begin ? begin : 1; at < stop; at++) found.heads |= (u32)is_unit_head(text, at, size) << (at - begin);
    return found;
}

/* Of the bytes from `begin` to `stop` (at most 32), character by character; `firsts` has the documents' first bytes. */
static __device__ Verdicts any_verdicts(
    int pattern, const u8* model, const u8* text, i64 size, const u32* firsts, i64 begin, i64 stop
) {
    Verdicts found = {firsts[begin >> 5], 0};
    i64 at = begin, place;
    while (at < stop && is_inner(text[at])) at++;
    if (at >= stop) return found;
    Char none = {0, 255, 255, 0, 0}, here = char_at(model, text, at, size), before = none, older = none;
    if (at > 0) before = char_before(model, text, at, &place);
    if (at > 0 && place > 0 && !bit_at(firsts, place)) older = char_before(model, text, place, &place);
    while (at < stop) {
        Char next = char_at(model, text, here.next, size), seen = next;
        int is_first = bit_at(firsts, at), verdict = JOINED;
        if (next.is_there && bit_at(firsts, here.next)) seen.is_there = 0;
        if (!is_first) verdict = verdict_of(pattern, older, before, here, seen);
        found.heads |= (u32)(verdict == HEAD) << (at - begin);
        found.odd |= (u32)(verdict == ODD) << (at - begin);
        older = is_first ? none : before;
        before = here;
        at = here.next;
        here = next;
    }
    return found;
}
