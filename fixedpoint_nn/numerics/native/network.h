// SPDX-License-Identifier: MIT
// A feed-forward network as a list of operations on tensors, for numbers/networks/native_network.py.
//
// Tensors are images (height, width, channels) of bytes or of 16-bit words, stored contiguously except for their edges:
// padding is stored in memory, so that a convolution reads its windows in place. The stored value is the integer plus
// `zero`, which maps signed bytes to 0..255 and unsigned words to -32768..32767; the bias compensates for it.
//
// A product starts from its bias and adds, tap by tap, modulo 2**32: vpdpbusd and vpdpwssd do not saturate, so that the
// sum is exact if the whole sum with its bias fits int32, even if a partial sum overflows. Where 16 bits times 16 bits
// make larger sums (`WIDE`), the taps are divided into segments, and after each one the upper half of the sum moves to a
// second register:
//
//     high += sum >> 16,  sum &= 65535.
//
// Rounding by `shift` bits needs the highest 17 - shift bits of the lower half, and whether the others are zero:
// `narrowed` appends these to `high` in one int32, 15 - kept bits shorter than the sum.
//
// A segment is as long as 65535 + 32768 * (the sum of its weights' magnitudes) <= 2**31 - 1 in every column, so that no
// sum overflows int32 before it is moved; the total is 65536 * high + sum.

typedef struct {
    int64_t image_bytes;                // from one image to the next
    int64_t first;                      // bytes from an image's start to its first element inside the edges
    int64_t row;                        // elements from one row to the next
    int32_t height, width, channels;
    int32_t bytes, zero;
    int32_t padded;                     // has edges, which hold `zero`
    int64_t arena;                      // the offset of its images in a block's memory, in bytes for each image
    char *base;                         // the address of its images for the current block
} Tensor;

typedef struct {
    int32_t relu, shift, rounding, overflow, low, high, word, is_signed;
} Finish;

// The quick epilogue: sum >> shift, an odd result of a tie (no bit of `tie_bits` is set) made even, and clipped to
// low..high. The bias, or `start`, contains the rest: half a step for roundings to nearest, and `zero`.
typedef struct {
    int32_t is, shift, tie_bits, low, high, start;
} Quick;

typedef struct {
    int64_t offset;                     // bytes from a window's first element
    int32_t groups, join;               // of four bytes or two words; whether the upper halves of the sums move afterwards
} Segment;

enum { BYTES, WORDS, WIDE };
#define WIDE_VECTORS 2  // in a block of columns of wide sums, whose weights then fit the first-level cache
enum { ENTER_INTS, ENTER_STORED, ENTER_FLOATS, CONVOLVE, MAXIMUM, AVERAGE, ADD, TABLE, LEAVE };

typedef struct {
    int32_t kind, a, b, out;            // tensors; `out` of -1 is the result, in float32
    Finish finish;
    Quick quick;
    int64_t *outside;                   // counts quick results and floats that are clipped; may be NULL
    float scale;                        // of ENTER_FLOATS
    int32_t given_bytes, given_signed;  // of ENTER_STORED
    // CONVOLVE
    int32_t words, columns, positions, in_int64, kept;
    const void *weights;
    const int32_t *bias, *high_bias;    // for all columns of all blocks
    const int32_t *from, *to;           // bytes of a's image, and elements of out's, for each position
    const Segment *segments;
    const int64_t *first_segment;       // of each block of columns, and the end
    // MAXIMUM, AVERAGE; ADD shifts both operands left
    int32_t kernel_y, kernel_x, stride_y, stride_x;
    int64_t corner;                     // elements from a's first element to the first window's
    int32_t factor, a_shift, b_shift;
    const void *table;                  // of TABLE: stored values, by the lowest bits of the code
    int32_t mask;
} Step;

// Rounding by 2**shift of int32 sums as whole = sum >> shift plus (rest + addend) >> shift, rest = sum & (2**shift - 1):
// the addend is half for ties up, half - 1 for ties down, which depends on sign or parity of whole. No addition overflows.
typedef struct {
    int32_t rest, addend, by_sign, by_parity;
} Ties;

INLINE Ties ties_of(int rounding, int shift) {
    int32_t half = shift ? (int32_t)1 << (shift - 1) : 0, rest = shift ? (int32_t)(((uint32_t)1 << shift) - 1) : 0;
    if (shift == 0) { Ties none = {0, 0, 0, 0}; return none; }
    switch (rounding) {  // `by_sign` is added to negative sums
        case TOWARD_ZERO: { Ties t = {rest, 0, rest, 0}; return t; }
        case HALF_UP: { Ties t = {rest, half, 0, 0}; return t; }
        case HALF_DOWN: { Ties t = {rest, half - 1, 0, 0}; return t; }
        case HALF_AWAY: { Ties t = {rest, half, -1, 0}; return t; }
        case HALF_TOWARD_ZERO: { Ties t = {rest, half - 1, 1, 0}; return t; }
        case HALF_EVEN: { Ties t = {rest, half - 1, 0, 1}; return t; }
        default: { Ties t = {0, 0, 0, 0}; return t; }
    }
}

// The same for one 64-bit sum, where int32 is too narrow.
static int32_t finished_wide(const Finish *f, int64_t sum) {
    if (f->relu && sum < 0) sum = 0;
    int64_t value = sum;
    switch (f->rounding) {
#define CASE(r) case r: value = rounded_wide(sum, f->shift, r); break;
        CASE(FLOOR) CASE(TOWARD_ZERO) CASE(HALF_UP) CASE(HALF_DOWN) CASE(HALF_AWAY) CASE(HALF_TOWARD_ZERO) CASE(HALF_EVEN)
#undef CASE
    }
    switch (f->overflow) {
        case WRAP: {
            uint64_t left = (uint64_t)value << (64 - f->word);
            return (int32_t)(f->is_signed ? (int64_t)left >> (64 - f->word) : (int64_t)(left >> (64 - f->word)));
        }
        case ZERO: return value < f->low || value > f->high ? 0 : (int32_t)value;
        case NO_OVERFLOW: return (int32_t)value;
        default: return (int32_t)(value < f->low ? f->low : value > f->high ? f->high : value);
    }
}

INLINE char *image_of(const Tensor *t, int64_t image) { return t->base + image * t->image_bytes + t->first; }

// Whether the samples can be used in place: they are stored as needed, and no group of taps reads beyond their end.
INLINE int is_stored(const Step *s, const Tensor *t) {
    return s->kind == ENTER_STORED && s->given_bytes == t->bytes && t->zero == 0 && !t->padded && t->image_bytes % 4 == 0;
}

// ---- a loop over time: a list of operations on slots, for every block of rows and every step ------------------------

enum { SCAN_PRODUCT, SCAN_REQUANTIZE, SCAN_LOOKUP, SCAN_MULTIPLY, SCAN_COMBINE, SCAN_LOAD, SCAN_STORE };

// A matrix of floats or doubles. A scratch matrix has rows for one block; one of the whole batch (`whole`) is indexed by
// block and step. Strides are in elements.
typedef struct {
    char *base;
    int64_t row_stride, step_stride;
    int64_t whole;
} Slot;

// Columns of a slot that are a part of a product's rows, times 2**shift: their offset in the row in bytes, and the
// value that is added to them.
typedef struct {
    int32_t slot, column, width, zero, shift;
    int64_t offset;
} Source;

typedef struct {
    int32_t kind, out, a, b, a_column, b_column;  // slots, -1 for none; columns in the slots of the operands
    int64_t width;
    double a_factor, b_factor, low, high;         // SCAN_REQUANTIZE clips to low..high
    int64_t rounding;
    const void *row;                              // constants for each column of SCAN_COMBINE, or the table of SCAN_LOOKUP
    int64_t mask;                                 // of SCAN_LOOKUP
    const Source *sources;                        // of SCAN_PRODUCT; none if it uses the rows of the product before it
    int64_t source_count, row_bytes, bytes;       // bytes of an element, also of the words of SCAN_LOAD and SCAN_STORE
    int64_t word_signed;                          // of SCAN_LOAD
    Step product;                                 // a is the packed rows, out the slot
} Operation;

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define AT_LEVEL(name) JOINED(name, LEVEL)

#define LEVEL _net_portable
#define TARGET
#define LANES 4
#define MOST_VECTORS 2
#include "network_level.h"
#undef LEVEL
#undef TARGET
#undef LANES
#undef MOST_VECTORS

#if X86
#define LEVEL _net_avx2
#define TARGET FOR_AVX2
#define LANES 8
#define MOST_VECTORS 2
#define WITH_MADD 1
#include "network_level.h"
#undef LEVEL
#undef TARGET
#undef LANES
#undef MOST_VECTORS
#undef WITH_MADD

#define LEVEL _net_avx512
#define TARGET FOR_AVX512
#define LANES 16
#define MOST_VECTORS 4
#define WITH_VNNI 1
#include "network_level.h"
#undef LEVEL
#undef TARGET
#undef LANES
#undef MOST_VECTORS
#undef WITH_VNNI
#endif

int fx_network_lanes(int level) { return level == AVX512_VNNI ? 16 : level == AVX2 ? 8 : 4; }
int fx_network_vectors(int level) { return level == AVX512_VNNI ? 4 : 2; }

// Zeros of the edges are written once, as nothing else writes there. Returns 0, or 1 if a float is not finite.
int fx_network(int level, const Step *steps, int64_t count, const Tensor *tensors, int64_t tensor_count, const void *x,
               int64_t batch, int64_t block, char *arena, float *out) {
#if X86
    if (level == AVX512_VNNI) return network_net_avx512(steps, count, tensors, tensor_count, x, batch, block, arena, out);
    if (level == AVX2) return network_net_avx2(steps, count, tensors, tensor_count, x, batch, block, arena, out);
#endif
    (void)level;
    return network_net_portable(steps, count, tensors, tensor_count, x, batch, block, arena, out);
}

// `doubles`: the slots hold doubles, not floats.
void fx_scan(int level, int doubles, const Operation *operations, int64_t count, const Slot *slots, int64_t batch,
             int64_t block, int64_t steps, char *scratch) {
#if X86
    if (level == AVX512_VNNI) {
        (doubles ? scan_net_avx512_double : scan_net_avx512_float)(operations, count, slots, batch, block, steps, scratch);
        return;
    }
    if (level == AVX2) {
        (doubles ? scan_net_avx2_double : scan_net_avx2_float)(operations, count, slots, batch, block, steps, scratch);
        return;
    }
#endif
    (void)level;
    (doubles ? scan_net_portable_double : scan_net_portable_float)(operations, count, slots, batch, block, steps, scratch);
}
