// SPDX-License-Identifier: MIT
// The operations of network.h for one level of instructions: LEVEL, TARGET, LANES columns in a vector, at most
// MOST_VECTORS vectors in a block of columns.

#define Vec AT_LEVEL(Vec)
typedef int32_t Vec __attribute__((vector_size(4 * LANES)));
#define Bytes AT_LEVEL(Bytes)
typedef uint8_t Bytes __attribute__((vector_size(LANES)));
#define Halves AT_LEVEL(Halves)
typedef int16_t Halves __attribute__((vector_size(2 * LANES)));
#define Floats AT_LEVEL(Floats)
typedef float Floats __attribute__((vector_size(4 * LANES)));

#define FN AT_LEVEL
#define HERE TARGET static inline __attribute__((always_inline))

HERE Vec FN(all)(int32_t value) {
    Vec v;
    for (int i = 0; i < LANES; i++) v[i] = value;
    return v;
}

HERE Vec FN(load)(const void *from) {
    Vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

#if defined(WITH_VNNI)
HERE Vec FN(smaller)(Vec a, Vec b) { return (Vec)_mm512_min_epi32((__m512i)a, (__m512i)b); }
HERE Vec FN(larger)(Vec a, Vec b) { return (Vec)_mm512_max_epi32((__m512i)a, (__m512i)b); }
#elif defined(WITH_MADD)
HERE Vec FN(smaller)(Vec a, Vec b) { return (Vec)_mm256_min_epi32((__m256i)a, (__m256i)b); }
HERE Vec FN(larger)(Vec a, Vec b) { return (Vec)_mm256_max_epi32((__m256i)a, (__m256i)b); }
#else
HERE Vec FN(smaller)(Vec a, Vec b) { return (a & (Vec)(a < b)) | (b & ~(Vec)(a < b)); }
HERE Vec FN(larger)(Vec a, Vec b) { return (a & (Vec)(a > b)) | (b & ~(Vec)(a > b)); }
#endif

// `whole`, its lowest bit cleared where none of the sum's tie bits is set.
HERE Vec FN(evened)(Vec whole, Vec sum, Vec ties, int32_t any) {
    if (any == 0) return whole;
#ifdef WITH_VNNI
    __mmask16 tie = _mm512_testn_epi32_mask((__m512i)sum, (__m512i)ties);
    return (Vec)_mm512_mask_and_epi32((__m512i)whole, tie, (__m512i)whole, _mm512_set1_epi32(-2));
#else
    return whole & ~((Vec)((sum & ties) == 0) & 1);
#endif
}

// sum + four products of bytes, or two of words, for each lane; modulo 2**32.
HERE Vec FN(dot)(Vec sum, int32_t group, Vec w, int words) {
#ifdef WITH_VNNI
    __m512i x = _mm512_set1_epi32(group);
    return words == BYTES ? (Vec)_mm512_dpbusd_epi32((__m512i)sum, x, (__m512i)w)
                          : (Vec)_mm512_dpwssd_epi32((__m512i)sum, x, (__m512i)w);
#else
#ifdef WITH_MADD
    if (words != BYTES) return sum + (Vec)_mm256_madd_epi16(_mm256_set1_epi32(group), (__m256i)w);
#endif
    uint32_t total[LANES];
    memcpy(total, &sum, sizeof total);
    if (words == BYTES) {
        uint8_t x[4];
        int8_t taps[4 * LANES];
        memcpy(x, &group, 4), memcpy(taps, &w, sizeof taps);
        for (int i = 0; i < LANES; i++)
            for (int k = 0; k < 4; k++) total[i] += (uint32_t)(x[k] * taps[4 * i + k]);
    } else {
        int16_t x[2], taps[2 * LANES];
        memcpy(x, &group, 4), memcpy(taps, &w, sizeof taps);
        for (int i = 0; i < LANES; i++)
            for (int k = 0; k < 2; k++) total[i] += (uint32_t)(x[k] * taps[2 * i + k]);
    }
    memcpy(&sum, total, sizeof total);
    return sum;
#endif
}

// ---- finishing: ReLU, rounding, overflow; and storing ---------------------------------------------------------------

HERE Vec FN(finished)(const Finish *f, const Ties *t, Vec sum) {
    if (f->relu) sum = FN(larger)(sum, FN(all)(0));
    if (f->shift) {
        Vec whole = sum >> f->shift;
        if (t->rest) {
            Vec addend = FN(all)(t->addend);
            if (t->by_parity) addend += whole & 1;
            if (t->by_sign) addend += (sum >> 31) & t->by_sign;
            whole += ((sum & t->rest) + addend) >> f->shift;
        }
        sum = whole;
    }
    switch (f->overflow) {
        case WRAP: {
            int left = 32 - f->word;
            if (f->is_signed) return (sum << left) >> left;
            return left ? sum & (int32_t)(((uint32_t)1 << f->word) - 1) : sum;
        }
        case ZERO: return sum & (Vec)(sum >= FN(all)(f->low)) & (Vec)(sum <= FN(all)(f->high));
        case NO_OVERFLOW: return sum;
        default: return FN(smaller)(FN(larger)(sum, FN(all)(f->low)), FN(all)(f->high));
    }
}

// `count` integers to bytes or words plus `zero`, or (bytes of 4 or 8) to floats.
HERE void FN(store)(void *to, Vec value, int bytes, int32_t zero, int count) {
    if (bytes == 1) {
#ifdef WITH_VNNI
        __m128i packed = _mm512_cvtepi32_epi8((__m512i)(value + zero));
        if (count >= LANES) _mm_storeu_si128((__m128i *)to, packed);
        else _mm_mask_storeu_epi8(to, (__mmask16)((1u << count) - 1u), packed);
#else
        Bytes packed = __builtin_convertvector(value + zero, Bytes);
        memcpy(to, &packed, (size_t)(count < LANES ? count : LANES));
#endif
    } else if (bytes == 2) {
#ifdef WITH_VNNI
        __m256i packed = _mm512_cvtepi32_epi16((__m512i)(value + zero));
        if (count >= LANES) _mm256_storeu_si256((__m256i *)to, packed);
        else _mm256_mask_storeu_epi16(to, (__mmask16)((1u << count) - 1u), packed);
#else
        Halves packed = __builtin_convertvector(value + zero, Halves);
        memcpy(to, &packed, (size_t)(count < LANES ? count : LANES) * 2);
#endif
    } else if (bytes == 8) {
#ifdef WITH_VNNI
        __m256i low = _mm512_castsi512_si256((__m512i)value), high = _mm512_extracti64x4_epi64((__m512i)value, 1);
        uint32_t there = count >= LANES ? 0xffff : (1u << count) - 1u;
        _mm512_mask_storeu_pd(to, (__mmask8)there, _mm512_cvtepi32_pd(low));
        _mm512_mask_storeu_pd((double *)to + 8, (__mmask8)(there >> 8), _mm512_cvtepi32_pd(high));
#else
        double wide[LANES];
        for (int i = 0; i < LANES; i++) wide[i] = (double)value[i];
        memcpy(to, wide, (size_t)(count < LANES ? count : LANES) * 8);
#endif
    } else {
        Floats packed = __builtin_convertvector(value, Floats);
#ifdef WITH_VNNI
        _mm512_mask_storeu_ps(to, count >= LANES ? 0xffff : (__mmask16)((1u << count) - 1u), (__m512)packed);
#else
        memcpy(to, &packed, (size_t)(count < LANES ? count : LANES) * 4);
#endif
    }
}

// A vector of stored values; reads beyond the end stay in the block's memory.
HERE Vec FN(stored)(const void *from, int bytes) {
#if defined(WITH_VNNI)
    return bytes == 1 ? (Vec)_mm512_cvtepu8_epi32(_mm_loadu_si128(from)) : (Vec)_mm512_cvtepi16_epi32(_mm256_loadu_si256(from));
#elif defined(WITH_MADD)
    return bytes == 1 ? (Vec)_mm256_cvtepu8_epi32(_mm_loadl_epi64(from)) : (Vec)_mm256_cvtepi16_epi32(_mm_loadu_si128(from));
#else
    if (bytes == 1) {
        Bytes b;
        memcpy(&b, from, sizeof b);
        return __builtin_convertvector(b, Vec);
    }
    Halves h;
    memcpy(&h, from, sizeof h);
    return __builtin_convertvector(h, Vec);
#endif
}

// The total 65536 * high + sum with its lower half reduced to the bits that the rounding needs.
HERE Vec FN(narrowed)(Vec high, Vec sum, int32_t kept) {
#ifdef WITH_VNNI
    Vec rest = kept ? sum & (65535 >> kept) : sum;
    __mmask16 some = _mm512_test_epi32_mask((__m512i)rest, (__m512i)rest);
    Vec low = (Vec)_mm512_maskz_set1_epi32(some, 1);
#else
    Vec low = (Vec)((sum & (65535 >> kept)) != 0) & 1;
#endif
    return kept ? (high << (kept + 1)) + (sum >> (16 - kept) << 1) + low : (high << 1) + low;
}

// The quick epilogue of a sum, with the constants of `Quick` as vectors.
typedef struct {
    Vec low, high, ties;
    int32_t shift, tie_bits;
} FN(Ends);

HERE FN(Ends) FN(ends_of)(const Quick *q) {
    FN(Ends) e = {FN(all)(q->low), FN(all)(q->high), FN(all)(q->tie_bits), q->shift, q->tie_bits};
    return e;
}

HERE Vec FN(quick)(const FN(Ends) *e, Vec sum) {
    return FN(smaller)(FN(larger)(FN(evened)(sum >> e->shift, sum, e->ties, e->tie_bits), e->low), e->high);
}

// How many of the first `count` sums are clipped; a sum that ReLU makes zero does not count.
HERE int64_t FN(clipped)(const FN(Ends) *e, int relu, Vec sum, int count) {
    Vec whole = FN(evened)(sum >> e->shift, sum, e->ties, e->tie_bits);
#ifdef WITH_VNNI
    uint32_t outside = _mm512_cmpgt_epi32_mask((__m512i)whole, (__m512i)e->high);
    if (!relu) outside |= _mm512_cmplt_epi32_mask((__m512i)whole, (__m512i)e->low);
    return __builtin_popcount(count >= LANES ? outside : outside & ((1u << count) - 1u));
#else
    Vec outside = (Vec)(whole > e->high);
    if (!relu) outside |= (Vec)(whole < e->low);
    int64_t found = 0;
    for (int l = 0; l < LANES; l++) found -= l < count ? outside[l] : 0;
    return found;
#endif
}

// ---- products -------------------------------------------------------------------------------------------------------

#define MOST_ROWS 8
#define BLOCK_VECTORS(words) ((words) == WIDE ? WIDE_VECTORS : MOST_VECTORS)

typedef struct {
    const Step *step;
    Ties ties;
    int bytes;                          // of an element of the result
    int32_t zero;
} FN(Product);

// `rows` results of one block of columns from their sums: `sums` and, of wide ones, `highs`, one vector after another.
TARGET static void FN(finish_rows)(const FN(Product) *p, const Vec *sums, const Vec *highs, int rows, int vectors,
                                   char *const *to, int columns) {
    const Step *s = p->step;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            Vec sum = sums[r * vectors + v];
            int count = columns - v * LANES;
            if (highs) {
                Vec high = highs[r * vectors + v];
                if (s->in_int64) {
                    for (int i = 0; i < LANES; i++)
                        sum[i] = finished_wide(&s->finish, (int64_t)high[i] * 65536 + sum[i]);
                    FN(store)(to[r] + v * LANES * p->bytes, sum, p->bytes, p->zero, count);
                    continue;
                }
                sum = FN(narrowed)(high, sum, s->kept);
            }
            FN(store)(to[r] + v * LANES * p->bytes, FN(finished)(&s->finish, &p->ties, sum), p->bytes, p->zero, count);
        }
}

HERE void FN(tile)(const FN(Product) *p, const char *const *from, char *const *to, int64_t block, int columns,
                   const char *weights, const int rows, const int vectors, const int words) {
    const Step *s = p->step;
    const Segment *segment = s->segments + s->first_segment[block], *end = s->segments + s->first_segment[block + 1];
    const int32_t *bias = s->bias + block * BLOCK_VECTORS(words) * LANES;
    Vec sums[MOST_ROWS][MOST_VECTORS], highs[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            sums[r][v] = FN(load)(bias + v * LANES);
            if (words == WIDE) highs[r][v] = FN(load)(s->high_bias + block * BLOCK_VECTORS(words) * LANES + v * LANES);
        }
    for (; segment < end; segment++) {
        const char *row[MOST_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) row[r] = from[r] + segment->offset;
        for (int64_t g = 0, groups = segment->groups; g < groups; g++) {
            Vec w[MOST_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) w[v] = FN(load)(weights + v * LANES * 4);
            weights += vectors * LANES * 4;
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                int32_t group;
                memcpy(&group, row[r] + 4 * g, 4);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) sums[r][v] = FN(dot)(sums[r][v], group, w[v], words);
            }
        }
        if (words == WIDE && segment->join)
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) {
                    highs[r][v] += sums[r][v] >> 16;
                    sums[r][v] &= 65535;
                }
    }
    if (s->quick.is) {
        int bytes = p->bytes, kept = s->kept;
        FN(Ends) ends = FN(ends_of)(&s->quick);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                Vec sum = words == WIDE ? FN(narrowed)(highs[r][v], sums[r][v], kept) : sums[r][v];
                if (s->outside) *s->outside += FN(clipped)(&ends, s->finish.relu, sum, columns - v * LANES);
                FN(store)(to[r] + v * LANES * bytes, FN(quick)(&ends, sum), bytes, 0,
                          v + 1 < vectors ? LANES : columns - v * LANES);
            }
        return;
    }
    Vec flat[MOST_ROWS * MOST_VECTORS], above[MOST_ROWS * MOST_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            flat[r * vectors + v] = sums[r][v];
            if (words == WIDE) above[r * vectors + v] = highs[r][v];
        }
    FN(finish_rows)(p, flat, words == WIDE ? above : 0, rows, vectors, to, columns);
}

typedef void (*FN(Tile))(const FN(Product) *, const char *const *, char *const *, int64_t, int, const char *);
#define TILE(ROWS_, VECTORS_, WORDS_)                                                                                    \
    TARGET static void FN(tile_##ROWS_##_##VECTORS_##_##WORDS_)(const FN(Product) *p, const char *const *from,           \
                                                                char *const *to, int64_t block, int columns,            \
                                                                const char *weights) {                                  \
        FN(tile)(p, from, to, block, columns, weights, ROWS_, VECTORS_, WORDS_);                                         \
    }
#define TILES(ROWS_, VECTORS_, WORDS_) TILE(ROWS_, VECTORS_, WORDS_) TILE(2, VECTORS_, WORDS_) TILE(1, VECTORS_, WORDS_)
#define CHOICE(ROWS_, VECTORS_, WORDS_)                                                                                  \
    {ROWS_, {FN(tile_##ROWS_##_##VECTORS_##_##WORDS_), FN(tile_2_##VECTORS_##_##WORDS_), FN(tile_1_##VECTORS_##_##WORDS_)}}
// Rows computed at once, so that sums, weights and one group of a row fill the registers: of one block, two rows, and one.
typedef struct {
    int rows;
    FN(Tile) tiles[3];
} FN(Choice);
#if MOST_VECTORS == 4
TILES(8, 1, BYTES) TILES(8, 2, BYTES) TILES(8, 3, BYTES) TILES(6, 4, BYTES)
TILES(8, 1, WORDS) TILES(8, 2, WORDS) TILES(8, 3, WORDS) TILES(6, 4, WORDS)
TILES(8, 1, WIDE) TILES(6, 2, WIDE) TILES(4, 3, WIDE) TILES(3, 4, WIDE)
static const FN(Choice) FN(choices)[3][4] = {
    {CHOICE(8, 1, BYTES), CHOICE(8, 2, BYTES), CHOICE(8, 3, BYTES), CHOICE(6, 4, BYTES)},
    {CHOICE(8, 1, WORDS), CHOICE(8, 2, WORDS), CHOICE(8, 3, WORDS), CHOICE(6, 4, WORDS)},
    {CHOICE(8, 1, WIDE), CHOICE(6, 2, WIDE), CHOICE(4, 3, WIDE), CHOICE(3, 4, WIDE)},
};
#else
TILES(4, 1, BYTES) TILES(4, 2, BYTES) TILES(4, 1, WORDS) TILES(4, 2, WORDS) TILES(4, 1, WIDE) TILES(3, 2, WIDE)
static const FN(Choice) FN(choices)[3][2] = {
    {CHOICE(4, 1, BYTES), CHOICE(4, 2, BYTES)},
    {CHOICE(4, 1, WORDS), CHOICE(4, 2, WORDS)},
    {CHOICE(4, 1, WIDE), CHOICE(3, 2, WIDE)},
};
#endif

TARGET static void FN(convolve)(const Step *s, const Tensor *tensors, int64_t images, float *out) {
    const Tensor *a = tensors + s->a, *to = s->out < 0 ? 0 : tensors + s->out;
    FN(Product) p = {s, ties_of(s->finish.rounding, s->finish.shift), to ? to->bytes : 4, to ? to->zero : 0};
    const int per_block = BLOCK_VECTORS(s->words) * LANES;
    const char *weights = s->weights;
    char *start = to ? image_of(to, 0) : (char *)out;
    int64_t out_bytes = to ? to->image_bytes : (int64_t)s->positions * s->columns * 4;
    for (int64_t part = 0, column = 0; column < s->columns; part++, column += per_block) {
        int columns = s->columns - column < per_block ? (int)(s->columns - column) : per_block;
        int vectors = (columns + LANES - 1) / LANES;
        const FN(Choice) *choice = &FN(choices)[s->words][vectors - 1];
        int64_t rows = images * s->positions, position = 0;
        const char *image = image_of(a, 0);
        char *result = start + column * p.bytes;
        for (int64_t row = 0; row < rows;) {
            int which = rows - row >= choice->rows ? 0 : rows - row >= 2 ? 1 : 2;
            int count = which == 0 ? choice->rows : which == 1 ? 2 : 1;
            const char *from[MOST_ROWS];
            char *there[MOST_ROWS];
            for (int r = 0; r < count; r++) {
                from[r] = image + s->from[position], there[r] = result + (int64_t)s->to[position] * p.bytes;
                if (++position == s->positions) position = 0, image += a->image_bytes, result += out_bytes;
            }
            choice->tiles[which](&p, from, there, part, columns, weights);
            row += count;
        }
        int64_t groups = 0;
        for (int64_t i = s->first_segment[part]; i < s->first_segment[part + 1]; i++) groups += s->segments[i].groups;
        weights += groups * vectors * LANES * 4;
    }
}

// ---- element by element, and windows --------------------------------------------------------------------------------

#define CHUNK 256  // floats at a time

HERE void FN(enter_ints)(const float *x, int64_t count, int bytes, int32_t zero, char *to) {
    int64_t j = 0;
    Floats values;
    for (; j + LANES <= count; j += LANES) {
        memcpy(&values, x + j, sizeof values);
        FN(store)(to + j * bytes, __builtin_convertvector(values, Vec), bytes, zero, LANES);
    }
    if (j == count) return;
#ifdef WITH_VNNI
    values = (Floats)_mm512_maskz_loadu_ps((__mmask16)((1u << (count - j)) - 1u), x + j);
#else
    float rest[LANES] = {0};  // the samples end here, and nothing beyond may be read
    memcpy(rest, x + j, (size_t)(count - j) * 4), memcpy(&values, rest, sizeof values);
#endif
    FN(store)(to + j * bytes, __builtin_convertvector(values, Vec), bytes, zero, (int)(count - j));
}

// Floats in steps of the format, rounded and clipped; returns how many were outside, or -1 if one is not finite. Values
// outside by more than a step are clipped before they are rounded, which changes no result.
HERE int32_t FN(enter_floats)(const Step *s, const float *restrict x, int count, float *restrict rounded) {
    const float low = (float)s->finish.low, high = (float)s->finish.high, scale = s->scale;
    int32_t outside = 0, wrong = 0;
#ifdef WITH_VNNI
#define CASE(r, WAY)                                                                                            \
    case r:                                                                                                     \
        for (int j = 0; j < count; j += 16) {                                                                   \
            __mmask16 there = count - j >= 16 ? 0xffff : (__mmask16)((1u << (count - j)) - 1u);                 \
            __m512 given = _mm512_maskz_loadu_ps(there, x + j), lowest = _mm512_set1_ps(low), highest = _mm512_set1_ps(high); \
            wrong |= _mm512_fpclass_ps_mask(given, 0x99); /* NaN, either infinity */                            \
            __m512 value = _mm512_roundscale_ps(_mm512_mul_ps(given, _mm512_set1_ps(scale)), WAY);              \
            __mmask16 below = _mm512_cmp_ps_mask(value, lowest, _CMP_LT_OQ);                                    \
            outside += __builtin_popcount(below | _mm512_cmp_ps_mask(value, highest, _CMP_GT_OQ));              \
            _mm512_storeu_ps(rounded + j, _mm512_min_ps(_mm512_max_ps(value, lowest), highest));                \
        }                                                                                                       \
        return wrong ? -1 : outside;
    switch (s->finish.rounding) { CASE(FLOOR, 9) CASE(TOWARD_ZERO, 11) CASE(HALF_EVEN, 8) }
#undef CASE
#endif
#define CASE(r, ROUNDED_)                                                          \
    case r:                                                                        \
        for (int j = 0; j < count; j++) {                                          \
            float value = x[j] * scale;                                            \
            wrong |= !(__builtin_fabsf(x[j]) <= 3.402823466e38f);                  \
            value = value < low - 1 ? low - 1 : value > high + 1 ? high + 1 : value; \
            value = ROUNDED_;                                                      \
            outside += (value < low) | (value > high);                             \
            rounded[j] = value < low ? low : value > high ? high : value;          \
        }                                                                          \
        break;
    switch (s->finish.rounding) {
        CASE(FLOOR, __builtin_floorf(value)) CASE(TOWARD_ZERO, __builtin_truncf(value))
        CASE(HALF_UP, rounded_float(value, HALF_UP)) CASE(HALF_DOWN, rounded_float(value, HALF_DOWN))
        CASE(HALF_AWAY, rounded_float(value, HALF_AWAY))
        CASE(HALF_TOWARD_ZERO, rounded_float(value, HALF_TOWARD_ZERO)) CASE(HALF_EVEN, __builtin_rintf(value))
    }
#undef CASE
    return wrong ? -1 : outside;
}

HERE void FN(enter_stored)(const Step *s, const char *x, int64_t count, int bytes, int32_t zero, char *to) {
    uint8_t *restrict as_bytes = (uint8_t *)to;
    int16_t *restrict as_words = (int16_t *)to;
#define CASE(size, sign, GIVEN, TO, TO_BYTES)                                                    \
    if (s->given_bytes == size && s->given_signed == sign && bytes == TO_BYTES)                  \
        for (int64_t j = 0; j < count; j++) TO[j] = (__typeof__(*TO))(((const GIVEN *)x)[j] + zero);
    CASE(1, 0, uint8_t, as_bytes, 1) CASE(1, 1, int8_t, as_bytes, 1) CASE(1, 0, uint8_t, as_words, 2)
    CASE(1, 1, int8_t, as_words, 2) CASE(2, 0, uint16_t, as_words, 2) CASE(2, 1, int16_t, as_words, 2)
#undef CASE
}

// Whole numbers in float32 or in their own words, or floats that are rounded to the format. Returns 1 if one is not finite.
TARGET static int FN(enter)(const Step *s, const Tensor *t, const char *x, int64_t images) {
    const int64_t rows = t->padded ? t->height : 1;  // an image without edges is one long row
    const int64_t width = (int64_t)t->width * t->channels * t->height / rows;
    const int bytes = t->bytes;
    float rounded[CHUNK];
    for (int64_t i = 0; i < images; i++)
        for (int64_t y = 0; y < rows; y++) {
            char *to = image_of(t, i) + y * t->row * bytes;
            if (s->kind == ENTER_STORED) {
                FN(enter_stored)(s, x, width, bytes, t->zero, to);
                x += width * s->given_bytes;
                continue;
            }
            const float *row = (const float *)x;
            x += width * 4;
            if (s->kind == ENTER_INTS) {
                FN(enter_ints)(row, width, bytes, t->zero, to);
                continue;
            }
            for (int64_t j = 0; j < width; j += CHUNK) {
                int count = width - j < CHUNK ? (int)(width - j) : CHUNK;
                int32_t outside = FN(enter_floats)(s, row + j, count, rounded);
                if (outside < 0) return 1;
                if (s->outside) *s->outside += outside;
                FN(enter_ints)(rounded, count, bytes, t->zero, to + j * bytes);
            }
        }
    return 0;
}

// Stored bytes or words of both tensors have the same type, and are ordered as the integers are.
TARGET static void FN(maximum)(const Step *s, const Tensor *a, const Tensor *to, int64_t images) {
    const int64_t bytes = a->bytes, row = a->row * bytes, pixel = a->channels * bytes;
    const int ky = s->kernel_y, kx = s->kernel_x, height = to->height, width = to->width;
    const int64_t down = s->stride_y * row, across = s->stride_x * pixel, out_row = to->row * bytes;
    for (int64_t i = 0; i < images; i++)
        for (int y = 0; y < height; y++) {
            const char *from = image_of(a, i) + s->corner * bytes + y * down;
            char *out = image_of(to, i) + y * out_row;
            for (int x = 0; x < width; x++, from += across, out += pixel)
                for (int64_t c = 0; c < pixel; c += 4 * LANES) {
                    int64_t count = pixel - c < 4 * LANES ? pixel - c : 4 * LANES;
#ifdef WITH_VNNI
                    __mmask64 there = ~(__mmask64)0 >> (64 - count);
                    __m512i most = _mm512_maskz_loadu_epi8(there, from + c);
                    for (int v = 0; v < ky; v++)
                        for (int h = v == 0; h < kx; h++) {
                            __m512i tap = _mm512_maskz_loadu_epi8(there, from + v * row + h * pixel + c);
                            most = bytes == 1 ? _mm512_max_epu8(most, tap) : _mm512_max_epi16(most, tap);
                        }
                    _mm512_mask_storeu_epi8(out + c, there, most);
#else
                    uint8_t most[4 * LANES], tap[4 * LANES];
                    int16_t words[2 * LANES], others[2 * LANES];
                    memcpy(most, from + c, (size_t)count);
                    for (int v = 0; v < ky; v++)
                        for (int h = v == 0; h < kx; h++) {
                            memcpy(tap, from + v * row + h * pixel + c, (size_t)count);
                            if (bytes == 1) {
                                for (int l = 0; l < count; l++) most[l] = tap[l] > most[l] ? tap[l] : most[l];
                                continue;
                            }
                            memcpy(words, most, (size_t)count), memcpy(others, tap, (size_t)count);
                            for (int l = 0; l < count / 2; l++) words[l] = others[l] > words[l] ? others[l] : words[l];
                            memcpy(most, words, (size_t)count);
                        }
                    memcpy(out + c, most, (size_t)count);
#endif
                }
        }
}

// The epilogue of sums of stored values, whose zeros `start` subtracts: quick in int32, or with a factor in int64.
#define END(SUM, IN_INT64, COUNT)                                                      \
    if (quick) {                                                                       \
        value = FN(quick)(&ends, SUM + start);                                         \
        if (s->outside) *s->outside += FN(clipped)(&ends, f.relu, SUM + start, COUNT); \
    }                                                                                  \
    else if (s->in_int64) {                                                            \
        for (int l = 0; l < LANES; l++) value[l] = finished_wide(&f, IN_INT64) + zero; \
    } else value = FN(finished)(&f, &ties, SUM + start) + zero;
#define ENDS                                                                           \
    const Finish f = s->finish;                                                        \
    const Ties ties = ties_of(f.rounding, s->in_int64 ? 0 : f.shift);                  \
    const int quick = s->quick.is, bytes = a->bytes, out_bytes = to->bytes;            \
    const FN(Ends) ends = FN(ends_of)(&s->quick);                                      \
    const int32_t start = s->quick.start, zero = to->zero;

// The exact sum of each window times the factor; the sum itself fits int32.
TARGET static void FN(average)(const Step *s, const Tensor *a, const Tensor *to, int64_t images) {
    ENDS
    const int64_t row = a->row * bytes, pixel = a->channels * bytes;
    const int ky = s->kernel_y, kx = s->kernel_x, height = to->height, width = to->width, channels = to->channels;
    const int32_t factor = s->factor, zeros = a->zero * ky * kx;
    for (int64_t i = 0; i < images; i++)
        for (int y = 0; y < height; y++) {
            const char *from = image_of(a, i) + s->corner * bytes + y * s->stride_y * row;
            char *out = image_of(to, i) + y * to->row * out_bytes;
            for (int x = 0; x < width; x++, from += s->stride_x * pixel, out += channels * out_bytes)
                for (int c = 0; c < channels; c += LANES) {
                    Vec sum = FN(all)(0), value = sum;
                    for (int v = 0; v < ky; v++)
                        for (int h = 0; h < kx; h++) sum += FN(stored)(from + v * row + h * pixel + c * bytes, bytes);
                    END(sum * factor, ((int64_t)sum[l] - zeros) * factor, channels - c)
                    FN(store)(out + c * out_bytes, value, out_bytes, 0, channels - c);
                }
        }
}

// (a << a_shift) + (b << b_shift), or a alone.
TARGET static void FN(add)(const Step *s, const Tensor *tensors, int64_t images) {
    const Tensor *a = tensors + s->a, *b = s->b < 0 ? 0 : tensors + s->b, *to = tensors + s->out;
    ENDS
    const int64_t width = (int64_t)to->width * to->channels;
    const int a_shift = s->a_shift, b_shift = s->b_shift, b_bytes = b ? b->bytes : 0;
    const int64_t a_zero = a->zero, b_zero = b ? b->zero : 0;
    for (int64_t i = 0; i < images; i++)
        for (int y = 0; y < to->height; y++) {
            const char *left = image_of(a, i) + y * a->row * bytes, *right = b ? image_of(b, i) + y * b->row * b_bytes : 0;
            char *out = image_of(to, i) + y * to->row * out_bytes;
            for (int64_t j = 0; j < width; j += LANES) {
                Vec x = FN(stored)(left + j * bytes, bytes), z = FN(all)(0), value = z;
                if (b) z = FN(stored)(right + j * b_bytes, b_bytes);
                END((x << a_shift) + (z << b_shift), (x[l] - a_zero) * ((int64_t)1 << a_shift) +
                                                         (z[l] - b_zero) * ((int64_t)1 << b_shift),
                    (int)(width - j < LANES ? width - j : LANES))
                FN(store)(out + j * out_bytes, value, out_bytes, 0, (int)(width - j < LANES ? width - j : LANES));
            }
        }
}

TARGET static void FN(table)(const Step *s, const Tensor *a, const Tensor *to, int64_t images) {
    int64_t width = (int64_t)to->width * to->channels;
    for (int64_t i = 0; i < images; i++)
        for (int64_t y = 0; y < to->height; y++) {
            const uint8_t *bytes = (const uint8_t *)image_of(a, i) + y * a->row * a->bytes;
            const int16_t *words = (const int16_t *)bytes;
            char *out = image_of(to, i) + y * to->row * to->bytes;
            for (int64_t j = 0; j < width; j++) {
                int32_t code = (a->bytes == 1 ? bytes[j] : words[j]) & s->mask;
                if (to->bytes == 1) ((uint8_t *)out)[j] = ((const uint8_t *)s->table)[code];
                else ((int16_t *)out)[j] = ((const int16_t *)s->table)[code];
            }
        }
}

TARGET static void FN(leave)(const Tensor *t, int64_t images, float *out) {
    int64_t width = (int64_t)t->width * t->channels;
    for (int64_t i = 0; i < images; i++)
        for (int64_t y = 0; y < t->height; y++, out += width) {
            const char *row = image_of(t, i) + y * t->row * t->bytes;
            for (int64_t j = 0; j < width; j += LANES)
                FN(store)(out + j, FN(stored)(row + j * t->bytes, t->bytes) - t->zero, 4, 0,
                          (int)(width - j < LANES ? width - j : LANES));
        }
}

TARGET static int FN(network)(const Step *steps, int64_t count, const Tensor *given, int64_t tensor_count, const char *x,
                              int64_t batch, int64_t block, char *arena, float *out) {
    Tensor tensors[tensor_count];
    memcpy(tensors, given, sizeof tensors);
    const Step *last = steps + count - 1;
    Tensor *in = tensors + steps->out, *left = tensors + last->a;
    int64_t taken = (int64_t)in->height * in->width * in->channels * (steps->kind == ENTER_STORED ? steps->given_bytes : 4);
    int64_t result = last->kind == CONVOLVE ? (int64_t)last->positions * last->columns
                                            : (int64_t)left->height * left->width * left->channels;
    for (Tensor *t = tensors; t < tensors + tensor_count; t++) {
        t->base = arena + t->arena * block;
        int64_t size = t->image_bytes * block;
        if (!t->padded) continue;
        if (t->bytes == 1) memset(t->base, t->zero, (size_t)size);
        else for (int64_t i = 0; i < size / 2; i++) ((int16_t *)t->base)[i] = (int16_t)t->zero;
    }
    int stays = is_stored(steps, in);
    for (int64_t first = 0; first < batch; first += block) {
        int64_t images = batch - first < block ? batch - first : block;
        if (stays) in->base = (char *)x + first * taken;
        for (const Step *s = steps + stays; s < steps + count; s++) {
            const Tensor *a = tensors + (s->a < 0 ? 0 : s->a), *to = tensors + (s->out < 0 ? 0 : s->out);
            switch (s->kind) {
                case CONVOLVE: FN(convolve)(s, tensors, images, out + first * result); break;
                case MAXIMUM: FN(maximum)(s, a, to, images); break;
                case AVERAGE: FN(average)(s, a, to, images); break;
                case ADD: FN(add)(s, tensors, images); break;
                case TABLE: FN(table)(s, a, to, images); break;
                case LEAVE: FN(leave)(a, images, out + first * result); break;
                default: if (FN(enter)(s, to, x + first * taken, images)) return 1;
            }
        }
    }
    return 0;
}

#define REAL float
#define REALS 16
#define FLOOR_OF __builtin_floorf
#define EVEN_OF __builtin_rintf
#include "scan_level.h"
#undef REAL
#undef REALS
#undef FLOOR_OF
#undef EVEN_OF
#define REAL double
#define REALS 8
#define FLOOR_OF __builtin_floor
#define EVEN_OF __builtin_rint
#include "scan_level.h"
#undef REAL
#undef REALS
#undef FLOOR_OF
#undef EVEN_OF

#undef Vec
#undef Bytes
#undef Halves
#undef Floats
#undef FN
#undef HERE
#undef TILE
#undef TILES
#undef CHOICE
#undef END
#undef ENDS
#undef CHUNK
#undef MOST_ROWS
#undef BLOCK_VECTORS
