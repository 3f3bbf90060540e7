/* The counters of text_stats.py as kernels: indexing, sums and atomics here. Compiled after common, stretch, text_words,
 * text_lines and text_grams (gpu_text_stats.py). `counts` has COUNTERS numbers for each text. */

#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)

enum { /* in the order of text_stats.py */
    N_BYTES, N_CHARACTERS, N_NEWLINES, N_LETTERS, N_UPPERS, N_DIGITS, N_BLANKS, N_MARKS, N_NON_ASCII, N_HASHES,
    N_ELLIPSES, N_SPACED_ELLIPSES, N_BRACES, N_REPLACEMENTS, N_TOKENS, N_WORDS, N_WORD_CHARACTERS, N_LONGEST_WORD,
    N_ALPHABETIC_TOKENS, N_STOP_WORDS, N_SPLIT_WORDS, N_SPLIT_WORD_CHARACTERS, N_SPLIT_ALPHABETIC_WORDS,
    N_SPLIT_STOP_WORDS, N_LINES, N_BULLET_LINES, N_STAR_BULLET_LINES, N_ELLIPSIS_LINES, N_FILLED_LINES,
    N_TERMINAL_LINES, N_SHORT_LINES, N_FILLED_REPEATS, N_FILLED_REPEAT_CHARACTERS, N_RUNS, N_RUN_REPEATS,
    N_RUN_REPEAT_CHARACTERS, N_PARAGRAPHS, N_PARAGRAPH_REPEATS, N_PARAGRAPH_REPEAT_CHARACTERS,
    N_TOP_2_GRAM_CHARACTERS, N_TOP_3_GRAM_CHARACTERS, N_TOP_4_GRAM_CHARACTERS, N_REPEAT_5_GRAM_CHARACTERS,
    N_REPEAT_6_GRAM_CHARACTERS, N_REPEAT_7_GRAM_CHARACTERS, N_REPEAT_8_GRAM_CHARACTERS, N_REPEAT_9_GRAM_CHARACTERS,
    N_REPEAT_10_GRAM_CHARACTERS, N_C4_STOP, N_C4_SENTENCES, N_C4_LINES, N_C4_ANY_END_STOP, N_C4_ANY_END_SENTENCES,
    N_C4_ANY_END_LINES, N_THIRD_LINE_CHARACTERS, N_SPLIT_ALPHANUMERIC_WORDS, N_DCLM_REMOVED_WORDS, N_DCLM_LINES,
    N_DCLM_LINE_CHARACTERS, N_DCLM_LINE_COPIES, N_DCLM_LINE_COPY_CHARACTERS, N_DCLM_PARAGRAPHS,
    N_DCLM_PARAGRAPH_CHARACTERS, N_DCLM_PARAGRAPH_COPIES, N_DCLM_PARAGRAPH_COPY_CHARACTERS, N_DCLM_WORDS,
    N_DCLM_WORD_CHARACTERS, N_DCLM_TOP_2_GRAM_CHARACTERS, N_DCLM_TOP_3_GRAM_CHARACTERS,
    N_DCLM_TOP_4_GRAM_CHARACTERS, N_DCLM_REPEAT_5_GRAM_CHARACTERS, N_DCLM_REPEAT_6_GRAM_CHARACTERS,
    N_DCLM_REPEAT_7_GRAM_CHARACTERS, N_DCLM_REPEAT_8_GRAM_CHARACTERS, N_DCLM_REPEAT_9_GRAM_CHARACTERS,
    N_DCLM_REPEAT_10_GRAM_CHARACTERS, COUNTERS
};
enum { AT_CHUNK = 1, AT_LINE = 2, AT_PIECE = 4 };   /* what begins at a character */
enum { IS_PIECE = 1, IS_FILLED = 2 };               /* a piece between newlines, one that is not blank */

static __device__ u32 asked(u32* claim, u32 mine) {
    u32 owner = __ldcv(claim); /* most often it is taken: ask before contending for it */
    return owner ? owner : atomicCAS(claim, 0u, mine);
}

static __device__ void add(u64* counts, i64 row, int name, i64 value) {
    if (value) atomicAdd(counts + row * COUNTERS + name, (u64)value);
}

static __device__ void heighten(u64* cell, u64 value) {
    if (__ldcv(cell) < value) atomicMax(cell, value); /* most often it is higher: look before contending for it */
}

/* --- characters -------------------------------------------------------------------------------------------------------- */

/* How many characters begin in each stretch. */
extern "C" __global__ void measure(
    i64 count, const u8* __restrict__ text, const i64* __restrict__ offsets, const i64* __restrict__ firsts,
    const i32* __restrict__ rows, i32* __restrict__ sizes, u32* __restrict__ broken
) {
    if (ITEM >= count) return;
    Stretch s = stretch_of(offsets, firsts, rows, ITEM);
    i32 size = 0;
    int length, is_broken = 0;
    for (i64 at = first_begun(text, s.begin, s.from, s.end); at < s.stop; at += length, size++)
        is_broken |= decode(text, at, s.end, &length) == INVALID && length == 1;
    sizes[ITEM] = size;
    if (is_broken) atomicOr(broken, 1u);
}

/* Where each text begins among the characters of all: `sums` are those of `sizes`. */
extern "C" __global__ void places(i64 count, const i64* firsts, const i64* sums, i64* places) {
    if (ITEM < count) places[ITEM] = sum_before(sums, firsts[ITEM]);
}

/* Code points with their bits, and the counters of single characters. */
extern "C" __global__ void decoded(
    i64 count, const u8* __restrict__ tables, const u8* __restrict__ text, const i64* __restrict__ offsets,
    const i64* __restrict__ firsts, const i32* __restrict__ rows, const i64* __restrict__ sums, u32* __restrict__ chars,
    u32* __restrict__ bits, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    Stretch s = stretch_of(offsets, firsts, rows, ITEM);
    i64 out = sum_before(sums, ITEM);
    i32 newlines = 0, letters = 0, uppers = 0, digits = 0, blanks = 0, marks = 0, wide = 0, hashes = 0, braces = 0, lost = 0;
    int length;
    for (i64 at = first_begun(text, s.begin, s.from, s.end); at < s.stop; at += length, out++) {
        u32 code = decode(text, at, s.end, &length), kind = looked_up(tables, T_BITS_INDEX, T_BITS, code, 1);
        chars[out] = code;
        bits[out] = at == s.begin ? kind | FIRST : kind;
        newlines += code == '\n', hashes += code == '#', braces += code == '{', lost += code == 0xFFFD, wide += code > 127;
        letters += (kind & K_LETTER) != 0, uppers += (kind & K_UPPER) != 0, digits += (kind & K_DIGIT) != 0;
        blanks += (kind & K_BLANK) != 0, marks += (kind & K_MARK) != 0;
    }
    add(counts, s.row, N_BYTES, s.stop - s.from), add(counts, s.row, N_CHARACTERS, out - sum_before(sums, ITEM));
    add(counts, s.row, N_NEWLINES, newlines), add(counts, s.row, N_HASHES, hashes), add(counts, s.row, N_BRACES, braces);
    add(counts, s.row, N_REPLACEMENTS, lost), add(counts, s.row, N_NON_ASCII, wide), add(counts, s.row, N_LETTERS, letters);
    add(counts, s.row, N_UPPERS, uppers), add(counts, s.row, N_DIGITS, digits), add(counts, s.row, N_BLANKS, blanks);
    add(counts, s.row, N_MARKS, marks);
}

/* What begins at each character: a chunk between blanks, a line as str.splitlines cuts, a piece between newlines. */
extern "C" __global__ void begins(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits,
    const i64* __restrict__ places, i64 texts, u8* __restrict__ flags, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    i32 at = (i32)ITEM;
    u32 code = chars[at], before = bits[at] & FIRST ? 0 : chars[at - 1];
    int is_first = (bits[at] & FIRST) != 0, ends_line = !is_first && bits[at - 1] & K_BREAK, flag = 0;
    if (!(bits[at] & K_BLANK) && (is_first || bits[at - 1] & K_BLANK)) flag |= AT_CHUNK;
    if (is_first || (ends_line && !(before == '\r' && code == '\n'))) flag |= AT_LINE;
    if (code != '\n' && (is_first || before == '\n')) flag |= AT_PIECE;
    flags[at] = (u8)flag;
    if (code != '.' && code != ELLIPSIS) return;
    Text t = {tables, chars, bits};
    i64 row = row_of(places, texts, at);
    add(counts, row, N_ELLIPSES, code == ELLIPSIS ? 1 : dots_from(t, count, at) / 3);
    if (code == '.') add(counts, row, N_SPACED_ELLIPSES, spaced_dots_from(t, count, at) / 3);
}

/* Where in a list of pieces, by their starts, those of each text begin. */
extern "C" __global__ void edges(
    i64 count, const i32* __restrict__ starts, i64 pieces, const i64* __restrict__ places, i64* __restrict__ edges
) {
    if (ITEM < count) edges[ITEM] = starts_below(starts, pieces, places[ITEM]);
}

/* --- lines and paragraphs ---------------------------------------------------------------------------------------------- */

/* Lines as str.splitlines cuts them: their own counters, and what C4 says of each of them. */
extern "C" __global__ void lines(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits, i64 characters,
    const i32* __restrict__ begins, const i64* __restrict__ places, i64 texts, u32* line, u32* line_bits, i32* starts,
    i32* stops, i32* __restrict__ verdicts, i32* __restrict__ found, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    Room room = {line, line_bits, starts, stops};
    i32 first = begins[ITEM], stop = first;
    i64 row = row_of(places, texts, first);
    while (!(bits[stop] & K_BREAK) && !ends_text(t, characters, stop + 1)) stop++;
    Span span = stripped(t, first, bits[stop] & K_BREAK ? stop : stop + 1);
    add(counts, row, N_LINES, 1);
    add(counts, row, N_BULLET_LINES, begins_with_bullet(t, span, 0));
    add(counts, row, N_STAR_BULLET_LINES, begins_with_bullet(t, span, 1));
    add(counts, row, N_ELLIPSIS_LINES, ends_in_ellipsis(t, span));
    Judged judged = judged_line(t, span, room);
    verdicts[ITEM] = judged.verdict << 1 | judged.ends;
    found[ITEM] = judged.sentences;
}

/* C4's counters of each text, from what was said of its lines: by the rule on end marks, and without. */
extern "C" __global__ void c4(i64 count, const i64* edges, const i32* verdicts, const i32* found, u64* counts) {
    if (ITEM >= count) return;
    for (int variant = 0; variant < 2; variant++) {
        u64* out = counts + ITEM * COUNTERS + (variant ? N_C4_ANY_END_STOP : N_C4_STOP);
        for (i64 line = edges[ITEM]; line < edges[ITEM + 1] && !out[0]; line++) {
            int verdict = verdicts[line] >> 1;
            if (verdict == LONG_WORD || !(variant || verdicts[line] & 1)) continue;
            if (verdict == STOP_LOREM || verdict == STOP_CURLY) out[0] = (u64)verdict;
            out[1] += (u64)found[line];
            out[2] += verdict == KEEP;
        }
    }
}

/* Pieces between newlines, none of them empty: where they end, what of them is stripped, their counters. */
extern "C" __global__ void pieces(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits, i64 characters,
    const i32* __restrict__ starts, const i64* __restrict__ places, i64 texts, u32* line, u32* line_bits,
    i32* __restrict__ rows, i32* __restrict__ stops, i32* __restrict__ inner, i32* __restrict__ inner_stops,
    u8* __restrict__ flags, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    Room room = {line, line_bits, 0, 0};
    i32 first = starts[ITEM], stop = first + 1, row = row_of(places, texts, first);
    while (!ends_text(t, characters, stop) && chars[stop] != '\n') stop++;
    Span whole = {first, stop}, span = stripped(t, first, stop);
    int filled = span.last > span.first;
    rows[ITEM] = row, stops[ITEM] = stop, inner[ITEM] = span.first, inner_stops[ITEM] = span.last;
    flags[ITEM] = (u8)(IS_PIECE | (filled ? IS_FILLED : 0));
    add(counts, row, N_FILLED_LINES, filled);
    add(counts, row, N_TERMINAL_LINES, filled && bits[stop - 1] & K_TERMINAL && span.last == stop);
    add(counts, row, N_SHORT_LINES, filled && stop - first <= SHORT_LINE);
    add(counts, row, N_DCLM_LINES, filled);
    add(counts, row, N_DCLM_LINE_CHARACTERS, span.last - span.first);
    add(counts, row, N_DCLM_REMOVED_WORDS, removed_words(t, whole, room));
}

/* The three longest pieces, and the runs between newlines: pieces, and an empty one at either end. */
extern "C" __global__ void runs(
    i64 count, const u32* __restrict__ chars, const i64* __restrict__ places, const i64* __restrict__ edges,
    const i32* __restrict__ starts, const i32* __restrict__ stops, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    i64 begin = places[ITEM], end = places[ITEM + 1], empty = begin == end;
    i32 longest[3] = {0, 0, 0};
    for (i64 k = edges[ITEM]; k < edges[ITEM + 1]; k++) {
        i32 size = stops[k] - starts[k];
        if (size > longest[0]) longest[2] = longest[1], longest[1] = longest[0], longest[0] = size;
        else if (size > longest[1]) longest[2] = longest[1], longest[1] = size;
        else if (size > longest[2]) longest[2] = size;
    }
    u64* mine = counts + ITEM * COUNTERS;
    mine[N_THIRD_LINE_CHARACTERS] = mine[N_NEWLINES] > 1 ? (u64)longest[2] : 0;
    if (begin < end) empty = (chars[begin] == '\n') + (chars[end - 1] == '\n');
    mine[N_RUNS] = (u64)(edges[ITEM + 1] - edges[ITEM] + empty);
    mine[N_RUN_REPEATS] += empty == 2;
}

/* Without the blanks around them: where texts begin and end. By the chunks between blanks. */
extern "C" __global__ void strip(
    i64 count, const i64* places, const i64* edges, const i32* starts, const i32* stops, i32* firsts, i32* lasts
) {
    if (ITEM >= count) return;
    i64 first = edges[ITEM], last = edges[ITEM + 1];
    firsts[ITEM] = first < last ? starts[first] : (i32)places[ITEM];
    lasts[ITEM] = first < last ? stops[last - 1] : (i32)places[ITEM];
}

/* Whether a paragraph begins at each character: with the stripped text, and behind two newlines in it. */
extern "C" __global__ void paragraphs(
    i64 count, const u32* __restrict__ chars, const u32* __restrict__ bits, const i64* __restrict__ places, i64 texts,
    const i32* __restrict__ firsts, const i32* __restrict__ lasts, u8* __restrict__ flags
) {
    if (ITEM >= count) return;
    i32 at = (i32)ITEM;
    int behind = !(bits[at] & FIRST), is_chunk = !(bits[at] & K_BLANK) && (!behind || bits[at - 1] & K_BLANK);
    behind = behind && !(bits[at - 1] & FIRST) && chars[at - 1] == '\n' && chars[at - 2] == '\n' && chars[at] != '\n';
    flags[at] = 0;
    if (!behind && !is_chunk) return;
    i32 row = row_of(places, texts, at);
    flags[at] = at == firsts[row] || (behind && at > firsts[row] && at < lasts[row]);
}

/* Where paragraphs end, what of them is stripped, their counters. */
extern "C" __global__ void paragraph_ends(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits,
    const i32* __restrict__ starts, const i64* __restrict__ places, i64 texts, const i32* __restrict__ lasts,
    i32* __restrict__ rows, i32* __restrict__ stops, i32* __restrict__ inner, i32* __restrict__ inner_stops,
    u8* __restrict__ flags, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    i32 first = starts[ITEM], stop = first, row = row_of(places, texts, first), last = lasts[row];
    while (stop < last && !(chars[stop] == '\n' && stop + 1 < last && chars[stop + 1] == '\n')) stop++;
    Span span = stripped(t, first, stop);
    rows[ITEM] = row, stops[ITEM] = stop, inner[ITEM] = span.first, inner_stops[ITEM] = span.last, flags[ITEM] = IS_PIECE;
    add(counts, row, N_PARAGRAPHS, 1);
    add(counts, row, N_DCLM_PARAGRAPHS, span.last > span.first);
    add(counts, row, N_DCLM_PARAGRAPH_CHARACTERS, span.last - span.first);
}

/* A text of blanks, or none, is one paragraph, which is empty. */
extern "C" __global__ void blank_texts(i64 count, const i64* edges, u64* counts) {
    if (ITEM < count && edges[ITEM] == edges[ITEM + 1]) counts[ITEM * COUNTERS + N_PARAGRAPHS] = 1;
}

/* --- tokens and words -------------------------------------------------------------------------------------------------- */

/* Where chunks between blanks end, what they count as words, and how many tokens and words of DCLM they have. */
extern "C" __global__ void chunks(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits, i64 characters,
    const i32* __restrict__ starts, const i64* __restrict__ places, i64 texts, i32* __restrict__ rows,
    i32* __restrict__ stops, i32* __restrict__ tokens, i32* __restrict__ words, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    i32 first = starts[ITEM], stop = first, letters = 0, row = row_of(places, texts, first);
    while (!(stop > first && ends_text(t, characters, stop)) && !is_blank(t, stop)) letters |= bits[stop++] & K_LETTER;
    Pieces cut = {0, 0, 0, 0, 0}, words_cut = {0, 0, 0, 0, 0};
    cut_chunk(t, first, stop, &cut);
    cut_words(t, first, stop, &words_cut);
    rows[ITEM] = row, stops[ITEM] = stop, tokens[ITEM] = cut.count, words[ITEM] = words_cut.count;
    add(counts, row, N_SPLIT_WORDS, 1);
    add(counts, row, N_SPLIT_WORD_CHARACTERS, stop - first);
    add(counts, row, N_SPLIT_ALPHABETIC_WORDS, letters != 0);
    add(counts, row, N_SPLIT_STOP_WORDS, stop - first < 5 && found(t, T_STOP_WORDS, small(pack(t, first, stop))) >= 0);
    add(counts, row, N_SPLIT_ALPHANUMERIC_WORDS, begins_word(class_at(t, first)));
}

/* Tokens of each chunk, or its words of DCLM, behind those of the chunks before; `sums` are those of their numbers. */
extern "C" __global__ void cut(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits,
    const i32* __restrict__ chunks, const i32* __restrict__ chunk_stops, const i32* __restrict__ chunk_rows,
    const i64* __restrict__ sums, i64 dclm, i32* __restrict__ starts, i32* __restrict__ stops, i32* __restrict__ rows
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    Pieces out = {starts, stops, sum_before(sums, ITEM), sums[ITEM], 0};
    for (i64 k = out.at; k < out.end; k++) rows[k] = chunk_rows[ITEM];
    if (dclm) cut_words(t, chunks[ITEM], chunk_stops[ITEM], &out);
    else cut_chunk(t, chunks[ITEM], chunk_stops[ITEM], &out);
}

/* The counters of tokens; a bit for each stop word that a text has. */
extern "C" __global__ void tokens(
    i64 count, const u8* __restrict__ tables, const u32* __restrict__ chars, const u32* __restrict__ bits,
    const i32* __restrict__ starts, const i32* __restrict__ stops, const i32* __restrict__ rows, u32* seen, u64* counts
) {
    if (ITEM >= count) return;
    Text t = {tables, chars, bits};
    i32 first = starts[ITEM], stop = stops[ITEM], row = rows[ITEM];
    u32 all = K_SYMBOLIC, any = 0;
    for (i32 i = first; i < stop; i++) all &= bits[i], any |= bits[i];
    add(counts, row, N_ALPHABETIC_TOKENS, (any & K_LETTER) != 0);
    if (!all) {
        add(counts, row, N_WORDS, 1);
        add(counts, row, N_WORD_CHARACTERS, stop - first);
        heighten(counts + (i64)row * COUNTERS + N_LONGEST_WORD, (u64)(stop - first));
    }
    int place = stop - first < 5 ? found(t, T_STOP_WORDS, pack(t, first, stop)) : -1;
    if (place >= 0) atomicOr(seen + row, 1u << place);
}

extern "C" __global__ void token_totals(i64 count, const i64* edges, const u32* seen, u64* counts) {
    if (ITEM >= count) return;
    counts[ITEM * COUNTERS + N_TOKENS] = (u64)(edges[ITEM + 1] - edges[ITEM]);
    counts[ITEM * COUNTERS + N_STOP_WORDS] = (u64)bits_in(seen[ITEM]);
}

extern "C" __global__ void word_totals(i64 count, const i64* edges, const i64* ends, u64* counts) {
    if (ITEM >= count) return;
    counts[ITEM * COUNTERS + N_DCLM_WORDS] = (u64)(edges[ITEM + 1] - edges[ITEM]);
    counts[ITEM * COUNTERS + N_DCLM_WORD_CHARACTERS] = (u64)gram_size(ends, edges[ITEM], edges[ITEM + 1] - edges[ITEM]);
}
