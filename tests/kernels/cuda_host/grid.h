/* A grid on the host: what the CUDA source asks of a GPU, so that the very same source runs in a test.
 *
 * Kernels without barriers are loops over blocks and threads, or run on several host threads at once. In kernels with
 * barriers each thread of a block is a coroutine; between two barriers they run one after another, in another order each
 * time, and a barrier that some of them never reach ends the program. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#ifdef COUNT_WORK /* with -fsanitize-coverage=trace-pc: how many basic blocks ran so far, loops included */
static unsigned long long blocks_run;
__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void) { blocks_run++; }
unsigned long long work_done(void) { return blocks_run; }
#endif

#define __device__
#define __noinline__
#define __shared__ static
typedef struct { unsigned x, y, z; } Dim;
static __thread Dim blockIdx, threadIdx, blockDim, gridDim;
typedef void (*Kernel)(void**);

#define __ldcv(at) looked_at(at)
#define atomicAdd(at, value) __atomic_fetch_add(at, value, __ATOMIC_RELAXED)
#define atomicOr(at, value) __atomic_fetch_or(at, value, __ATOMIC_RELAXED)
#define atomicCAS(at, expected, value) compared(at, expected, value)
#define atomicMax(at, value) heightened(at, value)
#define __reduce_min_sync(mask, value) least_of_warp(value)
#define __activemask() (1u << (threadIdx.x & 31)) /* each lane by itself, which may happen */
#define __shfl_sync(mask, value, lane) (value)
#define __popc(word) __builtin_popcount(word)
#define __ffs(word) __builtin_ffs(word)

static int racing; /* several host threads: after a look at memory that others change, they get their turn */

/* Of 32 or 64 bits, as the memory has. */
#define looked_at(at) ({ \
    __typeof__(*(at) + 0) value_ = __atomic_load_n(at, __ATOMIC_RELAXED); \
    if (racing) sched_yield(); \
    value_; })

#define compared(at, expected, value) ({ \
    __typeof__(*(at) + 0) expected_ = (expected); \
    __atomic_compare_exchange_n(at, &expected_, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
    expected_; })

#define heightened(at, value) ({ \
    __typeof__(at) cell_ = (at); \
    __typeof__(*(at) + 0) mine_ = (value), found_ = looked_at(cell_); \
    while (found_ < mine_ && !__atomic_compare_exchange_n(cell_, &found_, mine_, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) \
        continue; \
    found_; })

/* --- coroutines ------------------------------------------------------------------------------------------------------- */

#define MOST_LANES 1024
#define STACK (64 << 10)
static ucontext_t scheduler, lanes[MOST_LANES];
static jmp_buf parked[MOST_LANES], home;
static int started[MOST_LANES], finished[MOST_LANES];
static Kernel running;
static void** given;
static char* stacks;

static void finish(int lane) {
    finished[lane] = 1;
#ifdef SLOW_SWITCH
    swapcontext(&lanes[lane], &scheduler);
#else
    _longjmp(home, 1);
#endif
}

static void begin_lane(void) {
    int lane = (int)threadIdx.x;
    running(given);
    finish(lane);
}

static void __syncthreads(void) {
    int lane = (int)threadIdx.x;
#ifdef SLOW_SWITCH
    swapcontext(&lanes[lane], &scheduler);
#else
    if (!_setjmp(parked[lane])) _longjmp(home, 1);
#endif
    threadIdx.x = (unsigned)lane;
}

/* A warp is a whole block here: lanes that do not come to the same place together are seen as at a barrier. */
static unsigned least_of_warp(unsigned mine) {
    static unsigned values[32];
    if (blockDim.x != 32) abort();
    values[threadIdx.x] = mine;
    __syncthreads();
    for (int lane = 0; lane < 32; lane++) mine = values[lane] < mine ? values[lane] : mine;
    __syncthreads();
    return mine;
}

static void resume(int lane) {
    threadIdx.x = (unsigned)lane;
#ifdef SLOW_SWITCH
    swapcontext(&scheduler, &lanes[lane]);
#else
    if (_setjmp(home)) return;
    if (started[lane]) _longjmp(parked[lane], 1);
    started[lane] = 1;
    setcontext(&lanes[lane]);
#endif
}

static void run_block(int size) {
    for (volatile int k = 0; k < size; k++) {
        int lane = k;
        started[lane] = finished[lane] = 0;
        getcontext(&lanes[lane]);
        lanes[lane].uc_stack.ss_sp = stacks + (size_t)lane * STACK;
        lanes[lane].uc_stack.ss_size = STACK;
        makecontext(&lanes[lane], begin_lane, 0);
    }
    volatile int done = 0;
    for (volatile int round = 0; !done; round++) {
        volatile int ended = 0;
        for (volatile int k = 0; k < size; k++) {
            int lane = (round % 2 ? size - 1 - k : k + 7 * round) % size;
            resume(lane);
            lane = (round % 2 ? size - 1 - k : k + 7 * round) % size;
            ended += finished[lane];
        }
        if (ended && ended < size) {
            fprintf(stderr, "a barrier that %d of %d threads do not reach\n", ended, size);
            abort();
        }
        done = ended > 0;
    }
}

static void grid_with_barriers(Kernel kernel, void** arguments, int blocks, int threads) {
    running = kernel, given = arguments;
    if (threads > MOST_LANES) abort();
    if (!stacks) stacks = malloc((size_t)MOST_LANES * STACK);
    gridDim.x = (unsigned)blocks, blockDim.x = (unsigned)threads;
    for (int block = blocks - 1; block >= 0; block--) {
        blockIdx.x = (unsigned)block;
        run_block(threads);
    }
}

/* --- loops, on one host thread or several ------------------------------------------------------------------------------ */

typedef struct { Kernel kernel; void** arguments; int blocks, threads, first, step; } Share;

static void* run_share(void* given_share) {
    Share* share = given_share;
    gridDim.x = (unsigned)share->blocks, blockDim.x = (unsigned)share->threads;
    for (int block = share->first; block < share->blocks; block += share->step) {
        blockIdx.x = (unsigned)(share->blocks - 1 - block);
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) share->kernel(share->arguments);
    }
    return 0;
}

static void grid(Kernel kernel, void** arguments, int blocks, int threads, int workers) {
    pthread_t handles[16];
    Share shares[16];
    racing = workers > 1;
    for (int k = 0; k < workers; k++) {
        shares[k] = (Share){kernel, arguments, blocks, threads, k, workers};
        if (workers == 1) run_share(shares);
        else if (pthread_create(handles + k, 0, run_share, shares + k)) abort();
    }
    for (int k = 0; k < workers && workers > 1; k++) pthread_join(handles[k], 0);
}
