/* Rules on lines: C4's (line_rules.py) and the line edits of DCLM (dclm_rules.py). Needs text_words.cuh.
 *
 * A line is copied without what a rule cuts out of it to `line`, at the place that it has in the text. */

enum { KEEP, STOP_LOREM, STOP_CURLY, LONG_WORD, NO_END, FEW_WORDS, SCRIPT, POLICY };
enum { LOREM, JAVASCRIPT, POLICIES, EDIT = 8, CITATION_NEEDED, CUT_ANYWHERE, CUT_BEHIND, CUT_BEFORE, COUNTED, PHRASES = 25 };
#define MOST_WORD 1000
#define FEWEST_WORDS 3
#define SHORT_LINE 30
#define SHORT_LINE_WORDS 10

/* Part of a text, or of a line that was rewritten. */
typedef struct { i32 first, last; } Span;

/* A line's room to be rewritten, by place in the text: characters, and its tokens. */
typedef struct { u32* chars; u32* bits; i32* starts; i32* stops; } Room;

static __device__ Span stripped(Text t, i32 first, i32 last) {
    while (first < last && is_blank(t, first)) first++;
    while (last > first && is_blank(t, last - 1)) last--;
    Span span = {first, last};
    return span;
}

static __device__ int ends_text(Text t, i64 count, i32 at) { return at >= count || t.bits[at] & FIRST; }

static __device__ const i32* phrase_bounds(Text t) {
    return (const i32*)(t.tables + ((const i64*)t.tables)[T_PHRASE_BOUNDS]);
}

static __device__ i32 phrase_size(Text t, int phrase) { return phrase_bounds(t)[phrase + 1] - phrase_bounds(t)[phrase]; }

/* Whether the phrase of this number stands at `at`, with ASCII capitals taken as small letters if `small`. */
static __device__ int stands(Text t, i32 at, Span within, int phrase, int small) {
    const u8* letters = t.tables + ((const i64*)t.tables)[T_PHRASES] + phrase_bounds(t)[phrase];
    i32 size = phrase_size(t, phrase);
    if (at < within.first || at + size > within.last) return 0;
    for (i32 i = 0; i < size; i++) {
        u32 code = t.chars[at + i];
        if (small && code >= 'A' && code <= 'Z') code += 32;
        if (code != letters[i]) return 0;
    }
    return 1;
}

static __device__ u8 phrase_first(Text t, int phrase) {
    return t.tables[((const i64*)t.tables)[T_PHRASES] + phrase_bounds(t)[phrase]];
}

/* Words between blanks, and characters of the longest. */
typedef struct { i32 words, longest; } Split;

static __device__ Split split_words(Text t, Span span) {
    Split split = {0, 0};
    i32 begin = span.first;
    for (i32 i = span.first; i <= span.last; i++) {
        if (i < span.last && !is_blank(t, i)) continue;
        if (i > begin) {
            split.words++;
            if (i - begin > split.longest) split.longest = i - begin;
        }
        begin = i + 1;
    }
    return split;
}

static __device__ int begins_with_bullet(Text t, Span line, int stars) {
    if (line.first == line.last) return 0;
    u32 lead = t.chars[line.first];
    return lead == 0x2022 || lead == '-' || (stars && (lead == 0x25CF || lead == '*'));
}

static __device__ int ends_in_ellipsis(Text t, Span line) {
    i32 last = line.last, size = line.last - line.first;
    if (size && t.chars[last - 1] == ELLIPSIS) return 1;
    return size > 2 && t.chars[last - 1] == '.' && t.chars[last - 2] == '.' && t.chars[last - 3] == '.';
}

static __device__ int is_at(Text t, i64 count, i32 at, u32 code) { return !ends_text(t, count, at) && t.chars[at] == code; }

/* How many dots stand in a row from the one at `at` on, 0 where it is not the first of them. */
static __device__ i32 dots_from(Text t, i64 count, i32 at) {
    i32 stop = at + 1;
    if (!(t.bits[at] & FIRST) && t.chars[at - 1] == '.') return 0;
    while (is_at(t, count, stop, '.')) stop++;
    return stop - at;
}

/* The same of dots with a space between each two. */
static __device__ i32 spaced_dots_from(Text t, i64 count, i32 at) {
    i32 dots = 1;
    int behind = !(t.bits[at] & FIRST) && t.chars[at - 1] == ' ' && !(t.bits[at - 1] & FIRST);
    if (behind && t.chars[at - 2] == '.') return 0;
    for (; is_at(t, count, at + 1, ' ') && is_at(t, count, at + 2, '.'); at += 2) dots++;
    return dots;
}

/* --- C4 ------------------------------------------------------------------------------------------------------------------ */

/* Length of the citation mark at `at`, or 0. */
static __device__ i32 citation(Text t, i32 at, Span span) {
    for (int phrase = EDIT; phrase <= CITATION_NEEDED; phrase++)
        if (stands(t, at, span, phrase, 0)) return phrase_size(t, phrase);
    i32 stop = at + 1;
    while (stop < span.last && t.chars[stop] >= '0' && t.chars[stop] <= '9') stop++;
    return stop < span.last && t.chars[stop] == ']' ? stop + 1 - at : 0;
}

/* Copies the line without citation marks; what it is then. */
static __device__ Span clean_line(Text t, Span span, Room room) {
    Span line = {span.first, span.first};
    for (i32 at = span.first; at < span.last;) {
        i32 skip = t.chars[at] == '[' ? citation(t, at, span) : 0;
        if (!skip) {
            room.chars[line.last] = t.chars[at];
            room.bits[line.last++] = t.bits[at];
        }
        at += skip ? skip : 1;
    }
    return line;
}

static __device__ int ends_well(Text t, Span line) {
    i32 last = line.last, size = line.last - line.first;
    if (!size) return 0;
    u32 final = t.chars[last - 1];
    if (final == '.') return !(size > 2 && t.chars[last - 2] == '.' && t.chars[last - 3] == '.');
    return final == '?' || final == '!' || final == '"' || final == '\'';
}

/* The rules after the end marks. */
static __device__ int judge(Text t, Span line, i32 words) {
    int lorem = 0, script = 0, curly = 0, policy = 0;
    if (words < FEWEST_WORDS) return FEW_WORDS;
    u32 firsts = 0; /* a bit for each letter that a phrase begins with */
    for (int phrase = LOREM; phrase < EDIT; phrase++) firsts |= 1u << (phrase_first(t, phrase) & 31);
    for (i32 i = line.first; i < line.last; i++) {
        curly |= t.chars[i] == '{';
        if (!(firsts >> (t.chars[i] & 31) & 1)) continue;
        for (int phrase = LOREM; phrase < EDIT; phrase++) {
            if ((t.chars[i] | 32) != phrase_first(t, phrase) || !stands(t, i, line, phrase, 1)) continue;
            lorem |= phrase == LOREM, script |= phrase == JAVASCRIPT, policy |= phrase >= POLICIES;
        }
    }
    return lorem ? STOP_LOREM : script ? SCRIPT : curly ? STOP_CURLY : policy ? POLICY : KEEP;
}

/* What a sentence count knows of the tokens so far. */
typedef struct { i32 count; int ended; } Sentences;

static __device__ void next_token(Text t, i32 start, i32 stop, Sentences* so_far) {
    int terminal = stop - start == 1 && t.bits[start] & K_TERMINAL, marks = 1;
    for (i32 i = start; i < stop; i++) marks &= (t.bits[i] & K_MARK) != 0;
    if (so_far->count == 0 || (so_far->ended && !marks && !terminal)) so_far->count++, so_far->ended = terminal;
    so_far->ended |= terminal;
}

static __device__ i32 sentences(Text t, Span line, Room room) {
    Sentences so_far = {0, 0};
    for (i32 at = line.first; at < line.last;) {
        i32 begin = at;
        while (at < line.last && !is_blank(t, at)) at++;
        if (at > begin) {
            Pieces counted = {0, 0, 0, 0, 0};
            cut_chunk(t, begin, at, &counted);
            Pieces out = {room.starts, room.stops, begin, begin + counted.count, 0};
            cut_chunk(t, begin, at, &out);
            for (i32 k = 0; k < counted.count; k++) next_token(t, room.starts[begin + k], room.stops[begin + k], &so_far);
        }
        at += at == begin;
    }
    return so_far.count;
}

/* What C4 says of a line: the verdict after the end marks (LONG_WORD: skipped), how it ends, its sentences where kept. */
typedef struct { int verdict, ends; i32 sentences; } Judged;

static __device__ Judged judged_line(Text t, Span span, Room room) {
    Judged found = {LONG_WORD, 0, 0};
    Split split = split_words(t, span);
    if (split.longest > MOST_WORD) return found;
    Text rewritten = {t.tables, room.chars, room.bits};
    Span line = clean_line(t, span, room);
    found.verdict = judge(rewritten, line, split.words);
    found.ends = ends_well(rewritten, line);
    if (found.verdict == KEEP) found.sentences = sentences(rewritten, line, room);
    return found;
}

/* --- DCLM's line edits ----------------------------------------------------------------------------------------------------- */

/* No letter, no number, no '_'. C_ALONE are both, C_EXTEND is a sign; '_' is C_JOIN, whose other members are signs. */
static __device__ int is_sign(Text t, i32 at) {
    u32 known = class_at(t, at);
    return !(t.bits[at] & K_LETTER || known == C_NUMERIC || known == C_ALONE || t.chars[at] == '_');
}

static __device__ int is_ascii_digit(u32 code) { return code >= '0' && code <= '9'; }

/* "3 likes", "1.2k views!": a number and what was counted, and nothing else but signs around them. */
static __device__ int is_counter(Text t, i32 first, i32 last) {
    while (first < last && is_sign(t, first)) first++;
    while (last > first && is_sign(t, last - 1)) last--;
    i32 stop = first;
    while (stop < last && (is_ascii_digit(t.chars[stop]) || (stop > first && (t.chars[stop] == '.' || t.chars[stop] == ','))))
        stop++;
    if (stop == first) return 0;
    if (stop < last && ((t.chars[stop] | 32) == 'k' || (t.chars[stop] | 32) == 'm')) stop++;
    i32 word = stop;
    while (word < last && is_blank(t, word)) word++;
    if (word == stop) return 0;
    Span what = {word, last};
    for (int phrase = COUNTED; phrase < PHRASES; phrase++) {
        i32 size = phrase_size(t, phrase);
        int plural = last - word == size + 1 && (t.chars[last - 1] | 32) == 's';
        if ((last - word == size || plural) && stands(t, word, what, phrase, 1)) return 1;
    }
    return 0;
}

/* Copies the line without the phrases to `line`; whether there are any. */
static __device__ int cut_phrases(Text t, Span span, Room room, Span* line) {
    Text rewritten = {t.tables, room.chars, room.bits};
    int cut = 0;
    line->first = line->last = span.first;
    for (i32 at = span.first; at < span.last;) {
        if (stands(t, at, span, CUT_ANYWHERE, 1)) {
            at += phrase_size(t, CUT_ANYWHERE), cut = 1;
            continue;
        }
        room.chars[line->last] = t.chars[at];
        room.bits[line->last++] = t.bits[at++];
    }
    if (stands(rewritten, line->last - phrase_size(t, CUT_BEHIND), *line, CUT_BEHIND, 1))
        line->last -= phrase_size(t, CUT_BEHIND), cut = 1;
    if (stands(rewritten, line->first, *line, CUT_BEFORE, 1)) line->first += phrase_size(t, CUT_BEFORE), cut = 1;
    return cut;
}

/* Words between blanks that the line edits take out of a line. */
static __device__ i32 removed_words(Text t, Span span, Room room) {
    i32 words = split_words(t, span).words, upper = 0;
    int digits = 1;
    Span line;
    for (i32 i = span.first; i < span.last; i++) {
        upper += (t.bits[i] & K_UPPER) != 0;
        digits &= class_at(t, i) == C_NUMERIC;
    }
    if (words < 2 || 2 * upper > span.last - span.first || digits || is_counter(t, span.first, span.last)) return words;
    if (words > SHORT_LINE_WORDS || !cut_phrases(t, span, room, &line)) return 0;
    Text rewritten = {t.tables, room.chars, room.bits};
    return words - split_words(rewritten, line).words;
}
