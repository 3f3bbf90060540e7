/* What is there again in a text: repeated lines, paragraphs and n-grams, by the slots of text_grams.cuh. Compiled after
 * text_stats.cu. */

extern "C" __global__ void hashed(
    i64 count, const u32* __restrict__ chars, const i32* __restrict__ starts, const i32* __restrict__ stops,
    u64* __restrict__ hashes, u64* __restrict__ powers, i32* __restrict__ sizes
) {
    if (ITEM >= count) return;
    hashes[ITEM] = piece_hash(chars, starts[ITEM], stops[ITEM], powers + ITEM);
    sizes[ITEM] = stops[ITEM] - starts[ITEM];
}

/* Hashes of n - 1 pieces become those of n. */
extern "C" __global__ void extend(
    i64 count, i64 n, const u64* __restrict__ hashes, const u64* __restrict__ powers, u64* __restrict__ grams
) {
    i64 last = ITEM + n - 1;
    if (last < count) grams[ITEM] = grams[ITEM] * powers[last] + hashes[last];
}

/* The slot of each gram, how many have it, and whose it is. */
extern "C" __global__ void insert(
    i64 count, const u32* __restrict__ chars, const i32* __restrict__ starts, const i32* __restrict__ stops,
    const i32* __restrict__ rows, const i64* __restrict__ edges, const u64* __restrict__ grams, i64 n, i64 joined,
    u32* claims, u32* copies, u32* __restrict__ where
) {
    if (ITEM >= count) return;
    List list = {chars, starts, stops, rows, edges, count};
    where[ITEM] = NOWHERE;
    if (!is_gram(list, ITEM, n)) return;
    where[ITEM] = slot_of(list, grams, claims, ITEM, n, joined != 0);
    atomicAdd(copies + where[ITEM], 1u);
}

/* Second and later copies of the pieces that have this flag, and their characters: all but those that have the slots. */
extern "C" __global__ void repeats(
    i64 count, const i32* __restrict__ rows, const u32* __restrict__ where, const u32* __restrict__ claims,
    const i32* __restrict__ sizes, const u8* __restrict__ flags, i64 flag, i64 name, u64* __restrict__ counts
) {
    if (ITEM >= count || !(flags[ITEM] & flag) || where[ITEM] == NOWHERE || claims[where[ITEM]] == (u32)ITEM + 1) return;
    add(counts, rows[ITEM], (int)name, 1);
    add(counts, rows[ITEM], (int)name + 1, sizes[ITEM]);
}

/* All copies of what is there twice, and their characters. */
extern "C" __global__ void copied(
    i64 count, const i32* __restrict__ rows, const u32* __restrict__ where, const u32* __restrict__ copies,
    const i32* __restrict__ sizes, i64 name, u64* __restrict__ counts
) {
    if (ITEM >= count || where[ITEM] == NOWHERE || copies[where[ITEM]] < 2) return;
    add(counts, rows[ITEM], (int)name, 1);
    add(counts, rows[ITEM], (int)name + 1, sizes[ITEM]);
}

/* The most frequent gram of each text, the first of ties: copies, then how early it is, of all copies the first. */
extern "C" __global__ void most_frequent(
    i64 count, const i32* __restrict__ rows, const u32* __restrict__ where, const u32* __restrict__ copies,
    u64* best
) {
    if (ITEM >= count || where[ITEM] == NOWHERE) return;
    heighten(best + rows[ITEM], (u64)copies[where[ITEM]] << 32 | ~(u32)ITEM);
}

/* Its copies times its characters with blanks between the tokens. */
extern "C" __global__ void top(i64 count, const u64* best, const i64* ends, i64 n, i64 name, u64* counts) {
    if (ITEM >= count || !best[ITEM]) return;
    i64 size = gram_size(ends, (i64)~(u32)best[ITEM], n) + n - 1;
    counts[ITEM * COUNTERS + name] = (best[ITEM] >> 32) * (u64)size;
}

/* The most frequent of DCLM, the longest of ties, of those that are there twice: copies, then characters. */
extern "C" __global__ void most_frequent_of_dclm(
    i64 count, const i32* __restrict__ rows, const u32* __restrict__ where, const u32* __restrict__ copies,
    const i64* __restrict__ ends, i64 n, u64* best
) {
    if (ITEM >= count || where[ITEM] == NOWHERE || copies[where[ITEM]] < 2) return;
    heighten(best + rows[ITEM], (u64)copies[where[ITEM]] << 32 | (u64)gram_size(ends, ITEM, n));
}

extern "C" __global__ void top_of_dclm(i64 count, const u64* best, i64 name, u64* counts) {
    if (ITEM < count) counts[ITEM * COUNTERS + name] = (best[ITEM] >> 32) * (best[ITEM] & 0xFFFFFFFFull);
}

/* Grams without blanks that were seen before: from left to right, a thread for each text. */
extern "C" __global__ void walk(
    i64 count, const i32* __restrict__ rows, const i64* __restrict__ edges, const i64* __restrict__ ends, i64 n,
    const u32* __restrict__ where, u32* __restrict__ copies, i64 name, u64* __restrict__ counts
) {
    List list = {0, 0, 0, rows, edges, 0};
    if (ITEM < count) counts[ITEM * COUNTERS + name] = (u64)repeated(list, ITEM, n, ends, where, copies);
}

/* Characters of the words of DCLM that stand in grams which are there twice. */
extern "C" __global__ void covered(
    i64 count, const i32* __restrict__ rows, const i64* __restrict__ edges, const i32* __restrict__ sizes, i64 n,
    const u32* __restrict__ where, const u32* __restrict__ copies, i64 name, u64* __restrict__ counts
) {
    if (ITEM >= count) return;
    List list = {0, 0, 0, rows, edges, count};
    if (is_covered_by_copies(list, ITEM, n, where, copies)) add(counts, rows[ITEM], (int)name, sizes[ITEM]);
}
