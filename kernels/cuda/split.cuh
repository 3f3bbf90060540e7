/* Where a piece ends: the split patterns, read forward from a known start. Needs common.cuh.
 *
 * piece_end() does what the pattern would match at `at`, alternative by alternative, looking no further than the end of
 * the document. Where threads may start is told by heads.cuh. */

static __device__ i64 run_end(const u8* model, const u8* text, i64 at, i64 end, u32 kind) {
    for (;;) {
        Char c = char_at(model, text, at, end);
        if (!c.is_there || c.kind != kind) return at;
        at = c.next;
    }
}

static __device__ u32 folded(u32 code, int any_case) {
    if (!any_case) return code;
    return code >= 'A' && code <= 'Z' ? code + 32 : code == 0x17F ? 's' : code; /* both engines fold the long s */
}

/* End of the contraction whose apostrophe is at `at`, or `at` itself where there is none. */
static __device__ i64 contraction_end(const u8* model, const u8* text, i64 at, i64 end, int any_case) {
    Char quote = char_at(model, text, at, end);
    if (!quote.is_there || quote.code != '\'') return at;
    Char one = char_at(model, text, quote.next, end);
    if (!one.is_there) return at;
    u32 a = folded(one.code, any_case);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return one.next;
    Char two = char_at(model, text, one.next, end);
    if (!two.is_there) return at;
    u32 b = folded(two.code, any_case);
    return (a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e') ? two.next : at;
}

/* `\p{N}{1,most}`; most 0: `\p{N}+`. */
static __device__ i64 digits_end(const u8* model, const u8* text, i64 at, i64 end, int most) {
    if (most == 0) return run_end(model, text, at, end, DIGIT);
    for (int k = 0; k < most; k++) {
        Char c = char_at(model, text, at, end);
        if (!c.is_there || c.kind != DIGIT) break;
        at = c.next;
    }
    return at;
}

/* `[\r\n]*`, and `[\r\n/]*` for o200k. */
static __device__ i64 tail_end(const u8* text, i64 at, i64 end, int slashes) {
    while (at < end && (is_newline(text[at]) || (slashes && text[at] == '/'))) at++;
    return at;
}

/* A run of blanks from `at`: up to its last newline; else all at the end of the document; else all but the last. */
static __device__ i64 blanks_end(const u8* model, const u8* text, i64 at, i64 end, int newlines, int tail_is_one) {
    i64 after_newline = at, last = at, here = at;
    for (;;) {
        Char c = char_at(model, text, here, end);
        if (!c.is_there) return newlines && after_newline > at && !tail_is_one ? after_newline : here;
        if (c.kind != SPACE) break;
        if (is_newline(c.code)) after_newline = c.next;
        last = here;
        here = c.next;
    }
    if (newlines && after_newline > at) return after_newline;
    return last > at ? last : here;
}

static __device__ i64 gpt2_end(const u8* model, const u8* text, i64 at, i64 end) {
    i64 contraction = contraction_end(model, text, at, end, 0);
    if (contraction > at) return contraction;
    Char c = char_at(model, text, at, end);
    Char next = char_at(model, text, c.next, end);
    if (c.code == ' ' && next.is_there && next.kind != SPACE) return run_end(model, text, c.next, end, next.kind);
    if (c.kind != SPACE) return run_end(model, text, at, end, c.kind);
    return blanks_end(model, text, at, end, 0, 0);
}

/* What cl100k, Llama-3, Qwen2 and o200k do with digits, punctuation and blanks. */
static __device__ i64 other_end(const u8* model, const u8* text, i64 at, i64 end, int pattern) {
    Char c = char_at(model, text, at, end);
    if (c.kind == DIGIT) return digits_end(model, text, at, end, pattern == PATTERN_QWEN2 ? 1 : 3);
    Char next = char_at(model, text, c.next, end);
    if (c.kind == OTHER || (c.code == ' ' && next.is_there && next.kind == OTHER)) {
        i64 marks = run_end(model, text, c.kind == OTHER ? at : c.next, end, OTHER);
        return tail_end(text, marks, end, pattern == PATTERN_O200K);
    }
    return blanks_end(model, text, at, end, 1, pattern == PATTERN_CL100K);
}

static __device__ int may_lead(Char c) { return c.kind != LETTER && c.kind != DIGIT && !is_newline(c.code); }

static __device__ i64 cl100k_end(const u8* model, const u8* text, i64 at, i64 end, int pattern) {
    i64 contraction = contraction_end(model, text, at, end, 1);
    if (contraction > at) return contraction;
    Char c = char_at(model, text, at, end);
    if (c.kind == LETTER) return run_end(model, text, at, end, LETTER);
    Char next = char_at(model, text, c.next, end);
    if (may_lead(c) && next.is_there && next.kind == LETTER) return run_end(model, text, c.next, end, LETTER);
    return other_end(model, text, at, end, pattern);
}

/* o200k's words. Heads are Lu Lt Lm Lo M, tails Ll Lm Lo M; `both` are Lm Lo M. */
static __device__ int is_head(Char c) { return c.is_there && c.cased != CASELESS && c.cased != LOWER; }
static __device__ int is_tail(Char c) { return c.is_there && c.cased != CASELESS && c.cased != UPPER; }

/* `heads* tails+` with its backtracking; `at` where it does not match. `heads_end` is where the heads stop. */
static __device__ i64 word_with_tail(const u8* model, const u8* text, i64 at, i64 end, i64* heads_end) {
    i64 here = at, after_both = at;
    Char c = char_at(model, text, here, end);
    while (is_head(c)) {
        here = c.next;
        if (is_tail(c)) after_both = here;
        c = char_at(model, text, here, end);
    }
    *heads_end = here;
    if (!is_tail(c)) return after_both; /* the heads give back all behind their last Lm, Lo or M */
    while (is_tail(c)) {
        here = c.next;
        c = char_at(model, text, here, end);
    }
    return here;
}

static __device__ i64 o200k_end(const u8* model, const u8* text, i64 at, i64 end) {
    Char c = char_at(model, text, at, end);
    i64 heads_led = c.next, heads = at, found = at;
    int leads = may_lead(c);
    i64 word = leads ? word_with_tail(model, text, c.next, end, &heads_led) : at;
    if (leads && word > c.next) found = word;
    if (found == at) {
        word = word_with_tail(model, text, at, end, &heads);
        if (word > at) found = word;
    }
    if (found == at && leads && heads_led > c.next) found = heads_led; /* `heads+`, led, then not */
    if (found == at && heads > at) found = heads;
    if (found > at) return contraction_end(model, text, found, end, 1);
    return other_end(model, text, at, end, PATTERN_O200K);
}

/* End of the piece that begins at `at` < end; `end` is the end of the document. */
static __device__ i64 piece_end(const u8* model, const u8* text, i64 at, i64 end) {
    int pattern = (int)word_of(model, M_PATTERN);
    if (pattern == PATTERN_GPT2) return gpt2_end(model, text, at, end);
    if (pattern == PATTERN_O200K) return o200k_end(model, text, at, end);
    return cl100k_end(model, text, at, end, pattern);
}

/* SentencePiece: a unit begins at each space (U+0020 or U+2581) that no space precedes. */
static __device__ int is_space_at(const u8* text, i64 at, i64 end) {
    if (text[at] == ' ') return 1;
    return at + 2 < end && text[at] == 0xE2 && text[at + 1] == 0x96 && text[at + 2] == 0x81;
}

static __device__ int is_unit_head(const u8* text, i64 at, i64 size) {
    if (!is_space_at(text, at, size)) return 0;
    return !(text[at - 1] == ' ' || (at >= 3 && is_space_at(text, at - 3, at)));
}
