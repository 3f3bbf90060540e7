/* Merges inside one piece: the lowest (priority, position) first, until none is left. Needs common.cuh.
 *
 * merge_short() keeps a piece of at most SHORT bytes in local arrays, one thread a piece. long_*() do the same for
 * longer pieces with a linked list in global memory and a tree of minima beside it, for a warp. */

#define SHORT 64
#define NO_PLACE (-1)

static __device__ u64 mixed(u64 key) {
    key *= 0x9E3779B97F4A7C15ull;
    return key ^ key >> 29;
}

/* Priority of the merge of two symbols, NO_SYMBOL without one; `*made` is the id. */
static __device__ u32 merge_of(const u8* model, u32 left, u32 right, u32* made) {
    if (left == NO_SYMBOL || right == NO_SYMBOL) return NO_SYMBOL;
    u64 key = (u64)left << 21 | right, mask = (u64)word_of(model, M_PAIR_MASK);
    const u64* slots = (const u64*)table_of(model, M_PAIRS);
    for (u64 at = mixed(key) & mask;; at = (at + 1) & mask) {
        u64 slot = slots[at];
        if (slot == NO_SLOT) return NO_SYMBOL;
        if (slot >> 21 != key) continue;
        *made = (u32)((const i32*)table_of(model, M_PAIR_IDS))[at];
        return (u32)(slot & 0x1FFFFF);
    }
}

/* The symbol that begins at byte `at` (a byte, or a character of a SentencePiece model) and its length in bytes. */
static __device__ u32 symbol_at(const u8* model, const u8* text, i64 at, i64 end, int* length) {
    *length = 1;
    if (word_of(model, M_PATTERN) != PATTERN_UNITS) return (u32)((const i32*)table_of(model, M_BYTES))[text[at]];
    if (text[at] == ' ') return (u32)word_of(model, M_SPACE);
    u32 code = decode(text, at, end, length);
    if (*length == 1 && code == INVALID) return NO_SYMBOL;
    u32 block = ((const u16*)table_of(model, M_CHAR_INDEX))[code / CODE_BLOCK];
    i32 piece = ((const i32*)table_of(model, M_CHARS))[block * CODE_BLOCK + code % CODE_BLOCK];
    return piece < 0 ? NO_SYMBOL : (u32)piece;
}

/* Writes the id of a symbol, or the byte ids of the character at `at` that is no piece; returns how many. */
static __device__ i32 symbol_out(const u8* model, const u8* text, u32 symbol, i64 at, i64 end, i32* out) {
    if (symbol != NO_SYMBOL) {
        out[0] = (i32)symbol;
        return 1;
    }
    int length;
    decode(text, at, end, &length);
    for (int k = 0; k < length; k++) out[k] = ((const i32*)table_of(model, M_BYTES))[text[at + k]];
    return length;
}

/* The id of a piece that is a token by itself although its merges do not lead there; -1 for all others. */
static __device__ i32 whole_piece(const u8* model, const u8* text, i64 begin, i64 end) {
    i64 size = end - begin;
    if (size > word_of(model, M_WHOLE_MAX)) return -1;
    u64 hash = 0xCBF29CE484222325ull;
    for (i64 i = begin; i < end; i++) hash = (hash ^ text[i]) * 0x100000001B3ull;
    u64 mask = (u64)word_of(model, M_WHOLE_MASK);
    const i64* slots = (const i64*)table_of(model, M_WHOLE); /* (id, place in the arena, length) */
    const u8* arena = (const u8*)table_of(model, M_ARENA);
    for (u64 at = mixed(hash) & mask;; at = (at + 1) & mask) {
        const i64* slot = slots + 3 * at;
        if (slot[0] < 0) return -1;
        i64 same = slot[2] == size ? 0 : -1;
        while (same >= 0 && same < size && arena[slot[1] + same] == text[begin + same]) same++;
        if (same == size) return (i32)slot[0];
    }
}

/* Ids of text[begin..end), at most SHORT bytes, after the dummy prefix if `dummy`. Returns their number. */
static __device__ i32 merge_short(const u8* model, const u8* text, i64 begin, i64 end, int dummy, i32* out) {
    u32 symbol[SHORT + 1], priority[SHORT + 1], made;
    u8 place[SHORT + 1];
    int count = 0;
    if (dummy) {
        place[0] = 0;
        symbol[count++] = (u32)word_of(model, M_SPACE);
    }
    for (i64 at = begin; at < end;) {
        int length;
        place[count] = (u8)(at - begin);
        symbol[count++] = symbol_at(model, text, at, end, &length);
        at += length;
    }
    for (int i = 0; i + 1 < count; i++) priority[i] = merge_of(model, symbol[i], symbol[i + 1], &made);
    for (;;) {
        int best = NO_PLACE;
        for (int i = 0; i + 1 < count; i++)
            if (priority[i] != NO_SYMBOL && (best == NO_PLACE || priority[i] < priority[best])) best = i;
        if (best == NO_PLACE) break;
        merge_of(model, symbol[best], symbol[best + 1], &symbol[best]);
        count--;
        for (int i = best + 1; i < count; i++) {
            symbol[i] = symbol[i + 1];
            place[i] = place[i + 1];
            priority[i] = priority[i + 1];
        }
        if (best + 1 < count) priority[best] = merge_of(model, symbol[best], symbol[best + 1], &made);
        if (best > 0) priority[best - 1] = merge_of(model, symbol[best - 1], symbol[best], &made);
    }
    i32 written = 0;
    for (int i = 0; i < count; i++) written += symbol_out(model, text, symbol[i], begin + place[i], end, out + written);
    return written;
}

/* Ids of a piece of at most SHORT bytes: looked up whole, else merged. At most a byte each, and one for the prefix. */
static __device__ i32 encode_short(const u8* model, const u8* text, i64 begin, i64 end, int dummy, i32* out) {
    i32 whole = whole_piece(model, text, begin, end);
    if (whole < 0) return merge_short(model, text, begin, end, dummy, out);
    out[0] = whole;
    return 1;
}

/* --- longer pieces: nodes are bytes, node 0 is the dummy prefix, node k is byte k - 1; `next` 0 ends the list --------
 *
 * A warp takes a piece. Above the priorities of the nodes lies a tree of minima: one for each FAN nodes, and one for each
 * FAN of those. So the lowest merge is found, and what it changes is told, in a few looks of the lanes, whatever the length:
 * n merges take n log n work. Lanes agree by warp_least(); what one of them wrote the others see behind a barrier. */

#define FAN 32       /* lanes of a warp */
#define NODES 32768  /* of a piece at most: FAN * FAN * FAN */

typedef struct { u32* symbol; u32* priority; i32* next; i32* before; u32* least; u32* top; i64 nodes; } List;

static __device__ u32 warp_least(u32 mine); /* of encode.cu: the smallest of the warp's values, to all of its lanes */

static __device__ List list_in(i32* memory, i64 nodes, u32* least, u32* top) {
    List list = {(u32*)memory, (u32*)memory + nodes, memory + 2 * nodes, memory + 3 * nodes, least, top, nodes};
    return list;
}

/* One lane links the symbols; returns the first node. Priorities are filled by long_rank(). */
static __device__ i32 long_link(const u8* model, const u8* text, i64 begin, i64 end, int dummy, List list) {
    i32 before = NO_PLACE, first = dummy ? 0 : 1;
    if (dummy) list.symbol[0] = (u32)word_of(model, M_SPACE);
    for (i64 at = begin; at <= end; ) {
        int length = 1;
        i32 node = (i32)(at - begin) + 1;
        if (at == begin && dummy) {
            list.before[0] = NO_PLACE;
            before = 0;
        }
        if (at == end) node = 0;
        if (before != NO_PLACE) list.next[before] = node;
        if (at == end) break;
        list.before[node] = before;
        list.symbol[node] = symbol_at(model, text, at, end, &length);
        before = node;
        at += length;
    }
    return first;
}

static __device__ void long_rank(const u8* model, List list, i64 node) {
    u32 made;
    i32 right = list.next[node];
    list.priority[node] = right ? merge_of(model, list.symbol[node], list.symbol[right], &made) : NO_SYMBOL;
}

static __device__ i64 above(i64 count) { return (count + FAN - 1) / FAN; }

/* The lanes' value of group `group` of `values`: NO_SYMBOL beyond the end. */
static __device__ u32 long_look(const u32* values, i64 count, i64 group, int lane) {
    i64 at = FAN * group + lane;
    return at < count ? values[at] : NO_SYMBOL;
}

/* The minimum of a group goes to the level above. */
static __device__ void long_sum(const u32* values, i64 count, i64 group, int lane, u32* over) {
    u32 least = warp_least(long_look(values, count, group, lane));
    if (lane == 0) over[group] = least;
}

/* Where in a group the value `least` stands first. */
static __device__ i64 long_find(const u32* values, i64 count, i64 group, int lane, u32 least) {
    return FAN * group + warp_least(long_look(values, count, group, lane) == least ? (u32)lane : FAN);
}

/* The first of the nodes with the lowest merge, NO_PLACE where none is left. */
static __device__ i64 long_lowest(List list, int lane) {
    i64 groups = above(list.nodes), tops = above(groups);
    u32 least = warp_least(long_look(list.top, tops, 0, lane));
    if (least == NO_SYMBOL) return NO_PLACE;
    i64 top = long_find(list.top, tops, 0, lane, least);
    return long_find(list.priority, list.nodes, long_find(list.least, groups, top, lane, least), lane, least);
}

/* One lane joins a node with `right`, the one behind it. */
static __device__ void long_join(const u8* model, List list, i64 node, i32 right) {
    i32 behind = list.next[right];
    merge_of(model, list.symbol[node], list.symbol[right], &list.symbol[node]);
    list.priority[right] = NO_SYMBOL;
    list.next[node] = behind;
    if (behind) list.before[behind] = (i32)node;
}

static __device__ i32 long_emit(const u8* model, const u8* text, i64 begin, i64 end, List list, i32 node, i32* out) {
    i32 written = 0;
    do {
        written += symbol_out(model, text, list.symbol[node], begin + (node > 0 ? node - 1 : 0), end, out + written);
        node = list.next[node];
    } while (node);
    return written;
}
