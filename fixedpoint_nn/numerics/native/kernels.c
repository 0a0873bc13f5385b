// SPDX-License-Identifier: MIT
// Exact integer matrix products with a fused epilogue, and two element-wise passes, for numerics/native/library.py.
//
// Operands and results are integers in float32, as FixedArray stores them. A product is
//
//     out = fit(round((rows @ weights + bias + addend) / 2**shift)),   with ReLU before the rounding if `relu` is set,
//
// with sums in int32: the caller has proven that none overflows. Weights are packed once, in blocks of 64 columns:
// four taps of 8 bits side by side (vpdpbusd), or two taps of 16 bits (pmaddwd, vpdpwssd). No instruction here saturates.
//
// Words of 16 bits times weights of 16 bits (`wide`) make sums that int32 cannot hold: there the weights are two words,
// weight = low + 256 * high with low a signed byte, and the two sums, taken over so few taps that each fits int32, are
// added in int64.

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#else
#define X86 0
#endif

#define COLUMNS 64  // of a block of weights
#define ROWS 48     // of a block of rows, packed at once

enum { PORTABLE, AVX2, AVX512_VNNI };
// The order of Rounding and of Overflow in Python.
enum { FLOOR, TOWARD_ZERO, HALF_UP, HALF_DOWN, HALF_AWAY, HALF_TOWARD_ZERO, HALF_EVEN };
enum { WRAP, SATURATE, SATURATE_SYMMETRIC, ZERO, NO_OVERFLOW };

#if X86
#define FOR_AVX2 __attribute__((target("avx2,fma")))
#define FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#else
#define FOR_AVX2
#define FOR_AVX512
#endif
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    int64_t rows, taps, columns;
    int64_t row_stride;      // of the rows, in floats
    int32_t bits;            // 8: four taps side by side, rows as unsigned bytes; 16: two taps side by side
    int32_t offset;          // added to every element of the rows before it is packed (the bias undoes it)
    int32_t relu, shift, rounding, overflow, low, high, word, is_signed;
    int32_t raw;             // the result is the sums, with ReLU but without the rest of the epilogue
    int32_t runs;            // of adjacent taps in memory: 1 for a matrix, a window's rows for a convolution
    int64_t run_stride;      // from one run to the next, in floats
    int64_t out_columns, out_rows, column_step, row_step, image_stride;  // of a convolution's windows
    int64_t wide;            // 0, or the number of taps whose sums fit int32: low and high weights are packed, bias is int64
} Product;

int fx_best_level(void) {
#if X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return AVX512_VNNI;
    if (__builtin_cpu_supports("avx2")) return AVX2;
#endif
    return PORTABLE;
}

int64_t fx_padded_taps(int64_t taps, int bits) { return bits == 8 ? (taps + 3) / 4 * 4 : (taps + 1) / 2 * 2; }

int64_t fx_packed_bytes(int64_t taps, int64_t columns, int bits) {
    return (columns + COLUMNS - 1) / COLUMNS * fx_padded_taps(taps, bits) * COLUMNS * (bits / 8);
}

int64_t fx_scratch_bytes(int64_t taps, int bits) {  // of the packed rows, and 64 more for loads that read beyond the end
    return ROWS * fx_padded_taps(taps, bits) * (bits / 8) + 64;
}

void fx_pack(const float *weights, int64_t taps, int64_t columns, int bits, void *packed) {
    int64_t padded = fx_padded_taps(taps, bits), group = bits == 8 ? 4 : 2;
    memset(packed, 0, (size_t)fx_packed_bytes(taps, columns, bits));
    for (int64_t k = 0; k < taps; k++)
        for (int64_t j = 0; j < columns; j++) {
            int64_t at = ((j / COLUMNS * padded + k / group * group) * COLUMNS) + j % COLUMNS * group + k % group;
            int32_t value = (int32_t)weights[k * columns + j];
            if (bits == 8) ((int8_t *)packed)[at] = (int8_t)value;
            else ((int16_t *)packed)[at] = (int16_t)value;
        }
}

// ---- the epilogue: one row of int32 sums to float32 ---------------------------------------------------------------

// sum / 2**shift, rounded, for sums of either width.
#define ROUNDED(NAME, INT, UINT)                                                                            \
    INLINE INT NAME(INT sum, int shift, int rounding) {                                                     \
        if (shift == 0) return sum;                                                                         \
        INT whole = sum >> shift, rest = sum & (INT)(((UINT)1 << shift) - 1), half = (INT)((UINT)1 << (shift - 1)); \
        INT above = rest > half, tie = rest == half, negative = sum < 0;                                    \
        switch (rounding) {                                                                                 \
            case TOWARD_ZERO: return whole + ((rest != 0) & negative);                                      \
            case HALF_UP: return whole + (above | tie);                                                     \
            case HALF_DOWN: return whole + above;                                                           \
            case HALF_AWAY: return whole + (above | (tie & !negative));                                     \
            case HALF_TOWARD_ZERO: return whole + (above | (tie & negative));                               \
            case HALF_EVEN: return whole + (above | (tie & (whole & 1)));                                   \
            default: return whole;                                                                          \
        }                                                                                                   \
    }
ROUNDED(rounded, int32_t, uint32_t)
ROUNDED(rounded_wide, int64_t, uint64_t)

// FINISH(p, sums, columns, out, rounding, overflow) with the modes as constants, each of which compiles to its own loop.
#define BY_MODE(FINISH)                                                             \
    switch (p->rounding) {                                                          \
        BY_OVERFLOW(FINISH, FLOOR) BY_OVERFLOW(FINISH, TOWARD_ZERO)                 \
        BY_OVERFLOW(FINISH, HALF_UP) BY_OVERFLOW(FINISH, HALF_DOWN)                 \
        BY_OVERFLOW(FINISH, HALF_AWAY) BY_OVERFLOW(FINISH, HALF_TOWARD_ZERO)        \
        BY_OVERFLOW(FINISH, HALF_EVEN)                                              \
    }
#define BY_OVERFLOW(FINISH, r)                                                      \
    case r:                                                                         \
        switch (p->overflow) {                                                      \
            case WRAP: FINISH(p, sums, columns, out, r, WRAP); return;              \
            case ZERO: FINISH(p, sums, columns, out, r, ZERO); return;              \
            case NO_OVERFLOW: FINISH(p, sums, columns, out, r, NO_OVERFLOW); return; \
            default: FINISH(p, sums, columns, out, r, SATURATE); return;            \
        }

INLINE int32_t fitted(int32_t value, int overflow, int32_t low, int32_t high, int word, int is_signed) {
    switch (overflow) {
        case WRAP: {
            uint32_t left = (uint32_t)value << (32 - word);
            return is_signed ? (int32_t)left >> (32 - word) : (int32_t)(left >> (32 - word));
        }
        case ZERO: return (value < low || value > high) ? 0 : value;
        case NO_OVERFLOW: return value;
        default: return value < low ? low : value > high ? high : value;
    }
}

INLINE void finish_as(const Product *p, const int32_t *sums, int columns, float *out, int rounding, int overflow) {
    int shift = p->shift, word = p->word, is_signed = p->is_signed;
    int32_t low = p->low, high = p->high, floor = p->relu ? 0 : INT32_MIN;
    for (int j = 0; j < columns; j++) {
        int32_t sum = sums[j] < floor ? floor : sums[j];
        out[j] = (float)fitted(rounded(sum, shift, rounding), overflow, low, high, word, is_signed);
    }
}

INLINE void finish(const Product *p, const int32_t *sums, int columns, float *out) {
    if (p->raw) {
        int32_t floor = p->relu ? 0 : INT32_MIN;
        for (int j = 0; j < columns; j++) out[j] = (float)(sums[j] < floor ? floor : sums[j]);
        return;
    }
    BY_MODE(finish_as)
}

INLINE float fitted_wide(int64_t value, int overflow, int64_t low, int64_t high, int word, int is_signed) {
    switch (overflow) {
        case WRAP: {
            uint64_t left = (uint64_t)value << (64 - word);
            return (float)(is_signed ? (int64_t)left >> (64 - word) : (int64_t)(left >> (64 - word)));
        }
        case ZERO: return (value < low || value > high) ? 0 : (float)value;
        case NO_OVERFLOW: return (float)value;
        default: return (float)(value < low ? low : value > high ? high : value);
    }
}

INLINE void finish_wide_as(const Product *p, const int64_t *sums, int columns, float *out, int rounding, int overflow) {
    int shift = p->shift, word = p->word, is_signed = p->is_signed;
    int64_t low = p->low, high = p->high, floor = p->relu ? 0 : INT64_MIN;
    for (int j = 0; j < columns; j++) {
        int64_t sum = sums[j] < floor ? floor : sums[j];
        out[j] = fitted_wide(rounded_wide(sum, shift, rounding), overflow, low, high, word, is_signed);
    }
}

INLINE void finish_wide(const Product *p, const int64_t *sums, int columns, float *out) {
    BY_MODE(finish_wide_as)
}

// ---- rows: float32 to bytes or to int16, padded with zeros ---------------------------------------------------------

INLINE void pack_bytes_from(const float *row, int64_t k, int64_t taps, int64_t padded, int32_t offset, uint8_t *to) {
    for (; k < taps; k++) to[k] = (uint8_t)((int32_t)row[k] + offset);
    for (; k < padded; k++) to[k] = 0;
}

INLINE void pack_words_from(const float *row, int64_t k, int64_t taps, int64_t padded, int32_t offset, int16_t *to) {
    for (; k < taps; k++) to[k] = (int16_t)((int32_t)row[k] + offset);
    for (; k < padded; k++) to[k] = 0;
}

typedef void (*PackRow)(const float *row, int64_t taps, int64_t padded, int bits, int32_t offset, void *to);

// Where a row begins: in a matrix, or at the corner of a window of a padded image.
INLINE const float *row_at(const Product *p, const float *rows, int64_t row) {
    if (p->out_columns == 0) return rows + row * p->row_stride;
    int64_t x = row % p->out_columns, y = row / p->out_columns;
    return rows + y / p->out_rows * p->image_stride + y % p->out_rows * p->row_step + x * p->column_step;
}

static void pack_row_portable(const float *row, int64_t taps, int64_t padded, int bits, int32_t offset, void *to) {
    if (bits == 8) pack_bytes_from(row, 0, taps, padded, offset, to);
    else pack_words_from(row, 0, taps, padded, offset, to);
}
#if X86
FOR_AVX2 static void pack_row_avx2(const float *row, int64_t taps, int64_t padded, int bits, int32_t offset, void *to) {
    if (bits == 8) { pack_bytes_from(row, 0, taps, padded, offset, to); return; }
    int64_t k = 0;
    __m256i shift = _mm256_set1_epi32(offset);
    for (; k + 16 <= taps; k += 16) {
        __m256i a = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_loadu_ps(row + k)), shift);
        __m256i b = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_loadu_ps(row + k + 8)), shift);
        __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
        _mm256_storeu_si256((__m256i *)((int16_t *)to + k), both);
    }
    pack_words_from(row, k, taps, padded, offset, to);
}
FOR_AVX512 static void pack_row_avx512(const float *row, int64_t taps, int64_t padded, int bits, int32_t offset, void *to) {
    __m512i shift = _mm512_set1_epi32(offset);
    for (int64_t k = 0; k < padded; k += 16) {
        int64_t left = taps - k, space = padded - k;
        __mmask16 there = left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1u) : 0;
        __mmask16 stored = space >= 16 ? 0xffff : (__mmask16)((1u << space) - 1u);
        __m512i values = _mm512_cvtps_epi32(_mm512_maskz_loadu_ps(there, row + k));
        values = _mm512_maskz_add_epi32(there, values, shift);
        if (bits == 8) _mm512_mask_cvtepi32_storeu_epi8((uint8_t *)to + k, stored, values);
        else _mm512_mask_cvtepi32_storeu_epi16((int16_t *)to + k, stored, values);
    }
}
#endif

// ---- sums of one block of columns: initial values, then tap by tap ---------------------------------------------------

INLINE void begin(const Product *p, const int32_t *bias, const float *addend, int64_t row, int64_t column, int columns,
                  int32_t *sums) {
    for (int j = 0; j < COLUMNS; j++) sums[j] = 0;
    if (bias) for (int j = 0; j < columns; j++) sums[j] = bias[column + j];
    if (addend) for (int j = 0; j < columns; j++) sums[j] += (int32_t)addend[row * p->columns + column + j];
}

INLINE void add_pairs_portable(const int16_t *row, const int16_t *weights, int64_t pairs, int32_t *sums) {
    for (int64_t k = 0; k < pairs; k++) {
        int32_t a = row[2 * k], b = row[2 * k + 1];
        const int16_t *w = weights + k * 2 * COLUMNS;
        for (int j = 0; j < COLUMNS; j++) sums[j] += a * w[2 * j] + b * w[2 * j + 1];
    }
}

INLINE void add_fours_portable(const uint8_t *row, const int8_t *weights, int64_t fours, int32_t *sums) {
    for (int64_t k = 0; k < fours; k++) {
        const int8_t *w = weights + k * 4 * COLUMNS;
        for (int j = 0; j < COLUMNS; j++)
            sums[j] += row[4 * k] * w[4 * j] + row[4 * k + 1] * w[4 * j + 1] + row[4 * k + 2] * w[4 * j + 2] +
                       row[4 * k + 3] * w[4 * j + 3];
    }
}

// Adds `groups` of four bytes or of two words; the rows are `stride` elements apart.
typedef struct {
    int bits;
    int64_t stride, groups;
} Taps;

static void tile_portable(const Taps *t, const void *rows, int count, const void *weights, int columns, int32_t *sums) {
    (void)columns;
    for (int r = 0; r < count; r++) {
        if (t->bits == 8)
            add_fours_portable((const uint8_t *)rows + r * t->stride, weights, t->groups, sums + r * COLUMNS);
        else
            add_pairs_portable((const int16_t *)rows + r * t->stride, weights, t->groups, sums + r * COLUMNS);
    }
}

#if X86
// Four rows and sixteen columns at a time: eight sums of eight lanes.
FOR_AVX2 static void tile_avx2(const Taps *t, const void *rows, int count, const void *weights, int columns, int32_t *sums) {
    if (t->bits == 8) { tile_portable(t, rows, count, weights, columns, sums); return; }
    for (int first = 0; first < columns; first += 16)
        for (int r0 = 0; r0 < count; r0 += 4) {
            __m256i acc[4][2];
            const int16_t *row[4];
            for (int r = 0; r < 4; r++) {
                int at = r0 + r < count ? r0 + r : r0;
                row[r] = (const int16_t *)rows + at * t->stride;
                for (int v = 0; v < 2; v++)
                    acc[r][v] = _mm256_loadu_si256((const __m256i *)(sums + at * COLUMNS + first + 8 * v));
            }
            for (int64_t k = 0; k < t->groups; k++) {
                const int16_t *w = (const int16_t *)weights + k * 2 * COLUMNS + 2 * first;
                __m256i w0 = _mm256_loadu_si256((const __m256i *)w), w1 = _mm256_loadu_si256((const __m256i *)(w + 16));
                for (int r = 0; r < 4; r++) {
                    int32_t pair;
                    memcpy(&pair, row[r] + 2 * k, 4);
                    __m256i x = _mm256_set1_epi32(pair);
                    acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(x, w0));
                    acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(x, w1));
                }
            }
            for (int r = 0; r < 4 && r0 + r < count; r++)
                for (int v = 0; v < 2; v++)
                    _mm256_storeu_si256((__m256i *)(sums + (r0 + r) * COLUMNS + first + 8 * v), acc[r][v]);
        }
}

// Six rows and a block of 64 columns at a time (16, 32 or 48 where there are fewer): at most 24 sums of sixteen lanes.
#define TILE_512(NAME, V, ELEMENT, GROUP, DOT)                                                                       \
    FOR_AVX512 static void NAME(const Taps *t, const ELEMENT *rows, int count, const int8_t *weights, int32_t *sums) {  \
        int64_t groups = t->groups;                                                                                   \
        for (int r0 = 0; r0 < count; r0 += 6) {                                                                       \
            __m512i acc[6][V];                                                                                        \
            const ELEMENT *row[6];                                                                                    \
            _Pragma("GCC unroll 6") for (int r = 0; r < 6; r++) {                                                     \
                int at = r0 + r < count ? r0 + r : r0;                                                                \
                row[r] = rows + at * t->stride;                                                                       \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                                   \
                    acc[r][v] = _mm512_loadu_si512(sums + at * COLUMNS + 16 * v);                                     \
            }                                                                                                         \
            for (int64_t k = 0; k < groups; k++) {                                                                    \
                __m512i w[V];                                                                                         \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                                   \
                    w[v] = _mm512_loadu_si512(weights + k * 4 * COLUMNS + 64 * v);                                    \
                _Pragma("GCC unroll 6") for (int r = 0; r < 6; r++) {                                                 \
                    int32_t word;                                                                                     \
                    memcpy(&word, row[r] + GROUP * k, 4);                                                             \
                    __m512i x = _mm512_set1_epi32(word);                                                              \
                    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = DOT(acc[r][v], x, w[v]);          \
                }                                                                                                     \
            }                                                                                                         \
            _Pragma("GCC unroll 6") for (int r = 0; r < 6; r++) if (r0 + r < count)                                   \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)                                                   \
                    _mm512_storeu_si512(sums + (r0 + r) * COLUMNS + 16 * v, acc[r][v]);                               \
        }                                                                                                             \
    }
TILE_512(fours_1, 1, uint8_t, 4, _mm512_dpbusd_epi32)
TILE_512(fours_2, 2, uint8_t, 4, _mm512_dpbusd_epi32)
TILE_512(fours_3, 3, uint8_t, 4, _mm512_dpbusd_epi32)
TILE_512(fours_4, 4, uint8_t, 4, _mm512_dpbusd_epi32)
TILE_512(pairs_1, 1, int16_t, 2, _mm512_dpwssd_epi32)
TILE_512(pairs_2, 2, int16_t, 2, _mm512_dpwssd_epi32)
TILE_512(pairs_3, 3, int16_t, 2, _mm512_dpwssd_epi32)
TILE_512(pairs_4, 4, int16_t, 2, _mm512_dpwssd_epi32)

static void tile_avx512(const Taps *t, const void *rows, int count, const void *weights, int columns, int32_t *sums) {
    int vectors = (columns + 15) / 16;
    if (t->bits == 8) {
        if (vectors == 1) fours_1(t, rows, count, weights, sums);
        else if (vectors == 2) fours_2(t, rows, count, weights, sums);
        else if (vectors == 3) fours_3(t, rows, count, weights, sums);
        else fours_4(t, rows, count, weights, sums);
    } else {
        if (vectors == 1) pairs_1(t, rows, count, weights, sums);
        else if (vectors == 2) pairs_2(t, rows, count, weights, sums);
        else if (vectors == 3) pairs_3(t, rows, count, weights, sums);
        else pairs_4(t, rows, count, weights, sums);
    }
}
#endif

typedef void (*Tile)(const Taps *, const void *, int, const void *, int, int32_t *);

// The rows of a block, packed side by side.
INLINE void pack_block(const Product *p, const float *rows, int64_t first, int count, void *scratch, PackRow pack_row) {
    int64_t padded = fx_padded_taps(p->taps, p->bits), run = p->taps / p->runs, size = p->bits / 8;
    for (int r = 0; r < count; r++) {
        const float *row = row_at(p, rows, first + r);
        char *to = (char *)scratch + r * padded * size;
        for (int64_t i = 0; i < p->runs; i++)  // the last one is padded with zeros
            pack_row(row + i * p->run_stride, run, i + 1 < p->runs ? run : padded - i * run, p->bits, p->offset,
                     to + i * run * size);
    }
}

// totals = bias + addend + rows @ (low + 256 * high), a segment of taps at a time.
INLINE void add_wide(const Product *p, const void *scratch, int64_t first, int count, int64_t column, int columns,
                     const char *packed, const int64_t *bias, const float *addend, int32_t *sums, int64_t *totals, Tile tile) {
    int64_t padded = fx_padded_taps(p->taps, p->bits);
    for (int r = 0; r < count; r++)
        for (int j = 0; j < COLUMNS; j++) {
            int64_t start = bias && j < columns ? bias[column + j] : 0;
            if (addend && j < columns) start += (int64_t)addend[(first + r) * p->columns + column + j];
            totals[r * COLUMNS + j] = start;
        }
    for (int part = 0; part < 2; part++) {
        const char *weights = packed + part * fx_packed_bytes(p->taps, p->columns, p->bits) + column * padded * 2;
        for (int64_t tap = 0; tap < padded; tap += p->wide) {
            Taps taps = {p->bits, padded, (padded - tap < p->wide ? padded - tap : p->wide) / 2};
            memset(sums, 0, sizeof(int32_t) * (size_t)count * COLUMNS);
            tile(&taps, (const int16_t *)scratch + tap, count, weights + tap * 2 * COLUMNS, columns, sums);
            for (int i = 0; i < count * COLUMNS; i++) totals[i] += (int64_t)sums[i] * (part ? 256 : 1);
        }
    }
}

INLINE void multiply(const Product *p, const float *rows, const void *packed, const void *bias, const float *addend,
                     void *scratch, float *out, Tile tile, PackRow pack_row) {
    int64_t padded = fx_padded_taps(p->taps, p->bits);
    Taps taps = {p->bits, padded, padded / (p->bits == 8 ? 4 : 2)};
    int32_t sums[ROWS * COLUMNS];
    int64_t totals[ROWS * COLUMNS];
    for (int64_t r0 = 0; r0 < p->rows; r0 += ROWS) {
        int count = p->rows - r0 < ROWS ? (int)(p->rows - r0) : ROWS;
        pack_block(p, rows, r0, count, scratch, pack_row);
        for (int64_t column = 0; column < p->columns; column += COLUMNS) {
            int columns = p->columns - column < COLUMNS ? (int)(p->columns - column) : COLUMNS;
            float *to = out + r0 * p->columns + column;
            if (p->wide) {
                add_wide(p, scratch, r0, count, column, columns, packed, bias, addend, sums, totals, tile);
                for (int r = 0; r < count; r++) finish_wide(p, totals + r * COLUMNS, columns, to + r * p->columns);
                continue;
            }
            for (int r = 0; r < count; r++) begin(p, bias, addend, r0 + r, column, columns, sums + r * COLUMNS);
            tile(&taps, scratch, count, (const char *)packed + column * padded * (p->bits / 8), columns, sums);
            for (int r = 0; r < count; r++) finish(p, sums + r * COLUMNS, columns, to + r * p->columns);
        }
    }
}

static void multiply_portable(const Product *p, const float *rows, const void *packed, const void *bias,
                              const float *addend, void *scratch, float *out) {
    multiply(p, rows, packed, bias, addend, scratch, out, tile_portable, pack_row_portable);
}
#if X86
FOR_AVX2 static void multiply_avx2(const Product *p, const float *rows, const void *packed, const void *bias,
                                   const float *addend, void *scratch, float *out) {
    multiply(p, rows, packed, bias, addend, scratch, out, tile_avx2, pack_row_avx2);
}
FOR_AVX512 static void multiply_avx512(const Product *p, const float *rows, const void *packed, const void *bias,
                                       const float *addend, void *scratch, float *out) {
    multiply(p, rows, packed, bias, addend, scratch, out, tile_avx512, pack_row_avx512);
}
#endif

void fx_product(int level, const Product *p, const float *rows, const void *packed, const void *bias,
                const float *addend, void *scratch, float *out) {
#if X86
    if (level == AVX512_VNNI) { multiply_avx512(p, rows, packed, bias, addend, scratch, out); return; }
    if (level == AVX2) { multiply_avx2(p, rows, packed, bias, addend, scratch, out); return; }
#endif
    (void)level;
    multiply_portable(p, rows, packed, bias, addend, scratch, out);
}

// ---- element by element --------------------------------------------------------------------------------------------

// Integers in float32 times 2**-shift, rounded and saturated: |x| is at most 2**24, so the remainder is exact in float32.
INLINE float rounded_float(float value, int rounding) {
    float whole = __builtin_floorf(value), rest = value - whole;
    int above = rest > 0.5f, tie = rest == 0.5f, negative = value < 0;
    int up;
    switch (rounding) {
        case TOWARD_ZERO: up = (rest != 0) & negative; break;
        case HALF_UP: up = above | tie; break;
        case HALF_DOWN: up = above; break;
        case HALF_AWAY: up = above | (tie & !negative); break;
        case HALF_TOWARD_ZERO: up = above | (tie & negative); break;
        case HALF_EVEN: up = above | (tie & ((int)whole & 1)); break;
        default: up = 0;
    }
    return whole + (float)up;
}

typedef struct {
    int64_t rows, columns, row_stride;  // of x, in floats; the rows of `out` are adjacent
    int32_t rounding;
    float scale, low, high;
} Requantize;

INLINE void requantize(const Requantize *p, const float *x, float *out) {
    float scale = p->scale, low = p->low, high = p->high;
#define CASE(r)                                                                       \
    case r:                                                                           \
        for (int64_t i = 0; i < p->rows; i++, x += p->row_stride, out += p->columns)  \
            for (int64_t j = 0; j < p->columns; j++) {                                \
                float value = rounded_float(x[j] * scale, r);                         \
                out[j] = value < low ? low : value > high ? high : value;             \
            }                                                                         \
        return;
    switch (p->rounding) {
        CASE(FLOOR) CASE(TOWARD_ZERO) CASE(HALF_UP) CASE(HALF_DOWN) CASE(HALF_AWAY) CASE(HALF_TOWARD_ZERO) CASE(HALF_EVEN)
    }
#undef CASE
}

INLINE void lookup(const float *codes, int64_t count, const float *table, int32_t mask, float *out) {
    for (int64_t i = 0; i < count; i++) out[i] = table[(int32_t)codes[i] & mask];
}

static void requantize_portable(const Requantize *p, const float *x, float *out) { requantize(p, x, out); }
static void lookup_portable(const float *codes, int64_t n, const float *table, int32_t mask, float *out) {
    lookup(codes, n, table, mask, out);
}
#if X86
FOR_AVX2 static void requantize_avx2(const Requantize *p, const float *x, float *out) { requantize(p, x, out); }
FOR_AVX512 static void requantize_avx512(const Requantize *p, const float *x, float *out) { requantize(p, x, out); }
FOR_AVX2 static void lookup_avx2(const float *codes, int64_t n, const float *table, int32_t mask, float *out) {
    lookup(codes, n, table, mask, out);
}
FOR_AVX512 static void lookup_avx512(const float *codes, int64_t n, const float *table, int32_t mask, float *out) {
    lookup(codes, n, table, mask, out);
}
#endif

void fx_requantize(int level, const Requantize *p, const float *x, float *out) {
#if X86
    if (level == AVX512_VNNI) { requantize_avx512(p, x, out); return; }
    if (level == AVX2) { requantize_avx2(p, x, out); return; }
#endif
    (void)level;
    requantize_portable(p, x, out);
}

void fx_lookup(int level, const float *codes, int64_t n, const float *table, int32_t mask, float *out) {
#if X86
    if (level == AVX512_VNNI) { lookup_avx512(codes, n, table, mask, out); return; }
    if (level == AVX2) { lookup_avx2(codes, n, table, mask, out); return; }
#endif
    (void)level;
    lookup_portable(codes, n, table, mask, out);
}

// ---- whole networks, and loops over time --------------------------------------------------------------------------------

#include "network.h"

// ---- training ----------------------------------------------------------------------------------------------------------

// The function fx_<name>, which calls the inline function <name> compiled for each level; ARGUMENTS stand in brackets.
#if X86
#define FOR_EVERY_LEVEL(name, ARGUMENTS, ...)                                \
    static void name##_portable(__VA_ARGS__) { name ARGUMENTS; }             \
    FOR_AVX2 static void name##_avx2(__VA_ARGS__) { name ARGUMENTS; }        \
    FOR_AVX512 static void name##_avx512(__VA_ARGS__) { name ARGUMENTS; }    \
    void fx_##name(int level, __VA_ARGS__) {                                 \
        if (level == AVX512_VNNI) name##_avx512 ARGUMENTS;                   \
        else if (level == AVX2) name##_avx2 ARGUMENTS;                       \
        else name##_portable ARGUMENTS;                                      \
    }
#else
#define FOR_EVERY_LEVEL(name, ARGUMENTS, ...) \
    void fx_##name(int level, __VA_ARGS__) { (void)level; name ARGUMENTS; }
#endif

#include "elementwise.h"
#include "image_windows.h"

// ---- floats to integers -----------------------------------------------------------------------------------------------

#include "quantize.h"

// ---- the extension module itself is empty: Python finds the functions above through ctypes --------------------------

#ifndef FX_NO_PYTHON
#define Py_LIMITED_API 0x030a0000
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernels", "Exact integer kernels.", -1, 0, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&module); }
#endif
