/* The word rule of the statistics (text_words.py) and the words of DCLM (dclm_rules.py), on decoded characters. Needs
 * common.cuh and stretch.cuh.
 *
 * A batch's texts lie one behind another as code points with a word of bits each: the kind of text_words.py, FIRST on a
 * text's first character, the class of dclm_rules.py on top. Lists of words are sorted numbers behind their count. */

enum {
    K_LETTER = 1, K_DIGIT = 2, K_UPPER = 4, K_BLANK = 8, K_FRONT = 16, K_BACK = 32, K_ICON = 64, K_QUOTE = 128,
    K_SYMBOLIC = 256, K_TERMINAL = 512, K_MARK = 1024, K_BREAK = 2048, K_HYPHEN = 4096, K_JOINT = 8192,
    K_STOP_AFTER = 16384, FIRST = 32768
};
enum { C_STOP, C_ALPHA, C_NUMERIC, C_KATA, C_JOIN, C_ALONE, C_EXTEND, C_MID_LETTER, C_MID_DIGIT, C_MID_EITHER };
enum { T_BITS_INDEX, T_BITS, T_KEPT, T_UNITS, T_CONTRACTIONS, T_STOP_WORDS, T_SIGNS, T_PHRASE_BOUNDS, T_PHRASES };
#define CURLY 0x2019u
#define ELLIPSIS 0x2026u

typedef struct { const u8* tables; const u32* chars; const u32* bits; } Text;

static __device__ u32 class_at(Text t, i32 at) { return t.bits[at] >> 16; }

static __device__ int is_blank(Text t, i32 at) { return (t.bits[at] & K_BLANK) != 0; }

/* Place of `key` in a list, or -1. */
static __device__ int found(Text t, int list, u64 key) {
    const u64* values = (const u64*)(t.tables + ((const i64*)t.tables)[list]);
    int low = 0, count = (int)values[0], high = count;
    while (low < high) {
        int middle = (low + high) >> 1;
        if (values[1 + middle] < key) low = middle + 1;
        else high = middle;
    }
    return low < count && values[1 + low] == key ? low : -1;
}

/* The text as one number, curly apostrophes made straight; 0 where it is longer than 8 or not ASCII. */
static __device__ u64 pack(Text t, i32 first, i32 last) {
    u64 key = 0;
    if (last - first > 8) return 0;
    for (i32 i = first; i < last; i++) {
        u32 code = t.chars[i] == CURLY ? '\'' : t.chars[i];
        if (code >= 128) return 0;
        key = key << 8 | code;
    }
    return key;
}

/* ASCII capitals of a packed word as small letters. */
static __device__ u64 small(u64 key) {
    for (int shift = 0; shift < 64; shift += 8) {
        u64 code = key >> shift & 0xFF;
        if (code >= 'A' && code <= 'Z') key |= 32ull << shift;
    }
    return key;
}

/* How often the character at `first` stands there in a row. */
static __device__ i32 run_of(Text t, i32 first, i32 last) {
    i32 at = first + 1;
    while (at < last && t.chars[at] == t.chars[first]) at++;
    return at - first;
}

static __device__ i32 front_size(Text t, i32 first, i32 last) {
    if (first >= last) return 0;
    if (t.chars[first] == '.') {
        i32 dots = run_of(t, first, last);
        return dots > 1 ? dots : 0;
    }
    if (t.chars[first] == '+') return !(first + 1 < last && t.bits[first + 1] & K_DIGIT);
    return (t.bits[first] & K_FRONT) != 0;
}

static __device__ int is_small(u32 bits) { return (bits & K_LETTER) && !(bits & K_UPPER); }

static __device__ i32 back_dots(Text t, i32 first, i32 last, u32 before) {
    i32 dots = 1;
    while (last - dots > first && t.chars[last - dots - 1] == '.') dots++;
    if (dots > 1) return dots;
    if (found(t, T_KEPT, pack(t, first, last)) >= 0) return 0;
    if (before & K_STOP_AFTER || is_small(before)) return 1;
    return before & K_UPPER && last - first > 2 && t.bits[last - 3] & K_UPPER;
}

static __device__ i32 back_size(Text t, i32 first, i32 last) {
    if (first >= last) return 0;
    u32 final = t.chars[last - 1], before = last - first > 1 ? t.bits[last - 2] : 0;
    if (final == '.') return back_dots(t, first, last, before);
    if (t.bits[last - 1] & K_BACK) return 1;
    int quoted = before & K_QUOTE || (last - first > 2 && t.bits[last - 3] & K_QUOTE); /* seldom: so are look-ups */
    for (i32 size = 3; size > 1 && quoted; size--)
        if (last - first > size && t.bits[last - size - 1] & K_LETTER)
            if (found(t, T_CONTRACTIONS, pack(t, last - size, last)) >= 0) return size;
    if (final == '+' || (t.bits[last - 1] & K_FRONT && found(t, T_SIGNS, final) >= 0)) return (before & K_DIGIT) != 0;
    for (i32 size = 4; size > 0; size--)
        if (last - size > first && t.bits[last - size - 1] & K_DIGIT)
            if (found(t, T_UNITS, pack(t, last - size, last)) >= 0) return size;
    return 0;
}

static __device__ i32 hyphens(Text t, i32 at, i32 last) {
    i32 limit = t.chars[at] == '-' ? 3 : t.chars[at] == 0x2014 ? 2 : 1, same = run_of(t, at, last);
    return same <= limit && at + same < last && t.bits[at + same] & K_LETTER ? same : 0;
}

/* Characters of the token that cuts a chunk at `at`, which is not its first; 0 for none. */
static __device__ i32 infix_size(Text t, i32 at, i32 last) {
    u32 code = t.chars[at], before = t.bits[at - 1], after = at + 1 < last ? t.bits[at + 1] : 0;
    if (t.bits[at] & K_ICON || code == ELLIPSIS) return 1;
    if (code == '.') {
        i32 dots = run_of(t, at, last);
        return dots > 1 || ((before & K_QUOTE || is_small(before)) && after & (K_UPPER | K_QUOTE)) ? dots : 0;
    }
    int operates = before & K_DIGIT && (code == '+' || code == '-' || code == '*' || code == '^');
    if (operates && (after & K_DIGIT || (at + 1 < last && t.chars[at + 1] == '-'))) return 1;
    if (code == ',') return before & K_LETTER && after & K_LETTER;
    if (!(before & (K_LETTER | K_DIGIT))) return 0;
    if (t.bits[at] & K_JOINT && after & K_LETTER) return 1;
    return t.bits[at] & K_HYPHEN ? hyphens(t, at, last) : 0;
}

static __device__ int is_host(Text t, i32 first, i32 last) {
    i32 labels = 1, start = first, small = 0, at = first;
    for (; at < last; at++) {
        u32 code = t.chars[at];
        if (code == '/' || code == '?' || code == '#' || code == ':') break;
        if (code == '.') {
            if (at == start) return 0;
            labels++, start = at + 1, small = 0;
        } else if (t.bits[at] & (K_LETTER | K_DIGIT) || code == '-' || code == '_') {
            small += is_small(t.bits[at]);
        } else {
            return 0;
        }
    }
    return labels > 1 && at - start > 1 && small == at - start;
}

static __device__ int is_address(Text t, i32 first, i32 last) {
    int dotted = 0;
    for (i32 i = first; i < last; i++) {
        if (t.chars[i] == '@' && i > first) return 1;
        if (t.chars[i] == ':' && i + 2 < last && t.chars[i + 1] == '/' && t.chars[i + 2] == '/') return 1;
        dotted |= t.chars[i] == '.';
    }
    return dotted && is_host(t, first, last);
}

/* Where tokens or words go: the next one to `at`, or from behind to before `end`. Without `starts` they are only counted. */
typedef struct { i32* starts; i32* stops; i64 at, end; i32 count; } Pieces;

static __device__ void put(Pieces* out, i32 start, i32 stop) {
    if (out->starts) out->starts[out->at] = start, out->stops[out->at] = stop;
    out->at++, out->count++;
}

static __device__ void put_behind(Pieces* out, i32 start, i32 stop) {
    out->end--, out->count++;
    if (out->starts) out->starts[out->end] = start, out->stops[out->end] = stop;
}

static __device__ void cut_middle(Text t, i32 first, i32 last, Pieces* out) {
    i32 begin = first, at = first + 1;
    if (first >= last) return;
    if (is_address(t, first, last)) at = last;
    while (at < last) {
        i32 size = t.bits[at] & (K_LETTER | K_DIGIT) ? 0 : infix_size(t, at, last);
        if (size) {
            if (at > begin) put(out, begin, at);
            put(out, at, at + size);
            begin = at + size;
        }
        at += size ? size : 1;
    }
    if (begin < last) put(out, begin, last);
}

/* The tokens of a chunk, which has no blanks. */
static __device__ void cut_chunk(Text t, i32 first, i32 last, Pieces* out) {
    i32 size, at = first;
    while (at < last && (t.bits[at] & (K_LETTER | K_FRONT | K_BACK)) == K_LETTER) at++;
    if (at == last) { /* letters only: by far the most chunks */
        put(out, first, last);
        return;
    }
    while ((size = front_size(t, first, last))) {
        put(out, first, first + size);
        first += size;
    }
    while ((size = back_size(t, first, last))) {
        put_behind(out, last - size, last);
        last -= size;
    }
    cut_middle(t, first, last, out);
}

/* --- words of UAX 29 that begin with a letter or a digit ---------------------------------------------------------------- */

static __device__ int begins_word(u32 kind) { return kind >= C_ALPHA && kind <= C_ALONE && kind != C_JOIN; }

static __device__ i32 past_marks(Text t, i32 at, i32 last) {
    while (at < last && class_at(t, at) == C_EXTEND) at++;
    return at;
}

static __device__ int runs_on(u32 kind) { return kind == C_ALPHA || kind == C_NUMERIC || kind == C_JOIN; }

static __device__ int runs_kata(u32 kind) { return kind == C_KATA || kind == C_JOIN; }

static __device__ int bridged(u32 before, u32 here, u32 behind) {
    if (before != behind) return 0;
    if (before == C_ALPHA) return here == C_MID_LETTER || here == C_MID_EITHER;
    return before == C_NUMERIC && (here == C_MID_DIGIT || here == C_MID_EITHER);
}

static __device__ i32 word_end(Text t, i32 at, i32 last) {
    u32 before = class_at(t, at);
    at = past_marks(t, at + 1, last);
    while (at < last) {
        u32 here = class_at(t, at);
        i32 after = past_marks(t, at + 1, last);
        if ((runs_on(before) && runs_on(here)) || (runs_kata(before) && runs_kata(here))) {
            before = here, at = after;
            continue;
        }
        u32 behind = after < last ? class_at(t, after) : C_STOP;
        if (!bridged(before, here, behind)) return at;
        before = behind, at = past_marks(t, after + 1, last);
    }
    return at;
}

/* The words of a chunk. The blank before it ends any word, and has the marks that the chunk may begin with. */
static __device__ void cut_words(Text t, i32 first, i32 last, Pieces* out) {
    i32 at = past_marks(t, first, last);
    while (at < last) {
        i32 stop = word_end(t, at, last);
        if (begins_word(class_at(t, at))) put(out, at, stop);
        at = stop;
    }
}
