// SPDX-License-Identifier: MIT
// A loop over time for one instruction set, on slots of REAL numbers, which represent all integers of the loop exactly.

#define RN(name) JOINED(AT_LEVEL(name), JOINED(_, REAL))

// Whole numbers times a power of two, rounded: REAL holds the product exactly, and so its remainder.
HERE REAL RN(rounded)(REAL value, int rounding) {
    REAL whole = FLOOR_OF(value), rest = value - whole;
    int above = rest > (REAL)0.5, tie = rest == (REAL)0.5, negative = value < 0;
    switch (rounding) {
        case TOWARD_ZERO: return whole + (REAL)((rest != 0) & negative);
        case HALF_UP: return whole + (REAL)(above | tie);
        case HALF_DOWN: return whole + (REAL)above;
        case HALF_AWAY: return whole + (REAL)(above | (tie & !negative));
        case HALF_TOWARD_ZERO: return whole + (REAL)(above | (tie & negative));
        case HALF_EVEN: return EVEN_OF(value);
        default: return whole;
    }
}

HERE void RN(requantize_rows)(const Operation *o, int64_t rows, const REAL *a, int64_t as, REAL *out, int64_t os) {
    const REAL scale = (REAL)o->a_factor, low = (REAL)o->low, high = (REAL)o->high;
    const int64_t width = o->width;
#define CASE(r)                                                                       \
    case r:                                                                           \
        for (int64_t i = 0; i < rows; i++, a += as, out += os)                        \
            for (int64_t j = 0; j < width; j++) {                                     \
                REAL value = RN(rounded)(a[j] * scale, r);                            \
                out[j] = value < low ? low : value > high ? high : value;             \
            }                                                                         \
        return;
    switch (o->rounding) {
        CASE(FLOOR) CASE(TOWARD_ZERO) CASE(HALF_UP) CASE(HALF_DOWN) CASE(HALF_AWAY) CASE(HALF_TOWARD_ZERO) CASE(HALF_EVEN)
    }
#undef CASE
}

HERE void RN(element_wise)(const Operation *o, int64_t rows, const REAL *restrict a, int64_t as, const REAL *restrict b,
                           int64_t bs, REAL *restrict out, int64_t os) {
    const int64_t width = o->width;
    const int32_t mask = (int32_t)o->mask;
    const REAL *row = o->row, af = (REAL)o->a_factor, bf = (REAL)o->b_factor;
    for (int64_t i = 0; i < rows; i++, a += as, b += bs, out += os) {
        if (o->kind == SCAN_LOOKUP) {
            int64_t j = 0;
#ifdef WITH_VNNI
            for (; j + REALS <= width; j += REALS) {
#if REALS == 16
                __m512i codes = _mm512_and_si512(_mm512_cvttps_epi32(_mm512_loadu_ps(a + j)), _mm512_set1_epi32(mask));
                _mm512_storeu_ps(out + j, _mm512_i32gather_ps(codes, row, 4));
#else
                __m256i codes = _mm256_and_si256(_mm512_cvttpd_epi32(_mm512_loadu_pd(a + j)), _mm256_set1_epi32(mask));
                _mm512_storeu_pd(out + j, _mm512_i32gather_pd(codes, row, 8));
#endif
            }
#endif
            for (; j < width; j++) out[j] = row[(int32_t)a[j] & mask];
        } else if (o->kind == SCAN_MULTIPLY) {
            for (int64_t j = 0; j < width; j++) out[j] = a[j] * b[j];
        } else {  // a * a_factor + b * b_factor + row: whole numbers that REAL holds, in any order
            if (bs) for (int64_t j = 0; j < width; j++) out[j] = a[j] * af + b[j] * bf;
            else for (int64_t j = 0; j < width; j++) out[j] = a[j] * af;
            if (row) for (int64_t j = 0; j < width; j++) out[j] += row[j];
        }
    }
}

// Integers of one or two bytes to REAL, and back; `whole` slots hold them for all time steps in order.
HERE void RN(load_rows)(const Operation *o, int64_t rows, const char *from, int64_t as, REAL *out, int64_t os) {
    for (int64_t i = 0; i < rows; i++, from += as * o->bytes, out += os) {
#define CASE(size, sign, KIND)                                                                    \
    if (o->bytes == size && o->word_signed == sign)                                               \
        for (int64_t j = 0; j < o->width; j++) out[j] = (REAL)((const KIND *)from)[j];
        CASE(1, 0, uint8_t) CASE(1, 1, int8_t) CASE(2, 0, uint16_t) CASE(2, 1, int16_t)
#undef CASE
    }
}

HERE void RN(store_rows)(const Operation *o, int64_t rows, const REAL *a, int64_t as, char *to, int64_t os) {
    const int64_t width = o->width;
    for (int64_t i = 0; i < rows; i++, a += as, to += os * o->bytes) {  // modulo 2**8 or 2**16, so the sign does not matter
        if (o->bytes == 1) for (int64_t j = 0; j < width; j++) ((uint8_t *)to)[j] = (uint8_t)(int32_t)a[j];
        else for (int64_t j = 0; j < width; j++) ((uint16_t *)to)[j] = (uint16_t)(int32_t)a[j];
    }
}

// Packs the parts of each row side by side in `scratch`, as bytes or words plus their zeros.
HERE void RN(pack_rows)(const Operation *o, const Slot *slots, int64_t first, int64_t t, int64_t rows, char *scratch) {
    for (const Source *s = o->sources; s < o->sources + o->source_count; s++) {
        const int64_t stride = slots[s->slot].row_stride, width = s->width;
        const REAL *from = (const REAL *)slots[s->slot].base + slots[s->slot].whole * first * stride +
                           t * slots[s->slot].step_stride + s->column;
        const int32_t zero = s->zero, times = (int32_t)1 << s->shift;
        for (int64_t i = 0; i < rows; i++, from += stride) {
            char *to = scratch + i * o->row_bytes + s->offset;
            if (o->bytes == 1) for (int64_t j = 0; j < width; j++) ((uint8_t *)to)[j] = (uint8_t)((int32_t)from[j] * times + zero);
            else for (int64_t j = 0; j < width; j++) ((int16_t *)to)[j] = (int16_t)((int32_t)from[j] * times + zero);
        }
    }
}

TARGET static void RN(scan)(const Operation *operations, int64_t count, const Slot *slots, int64_t batch, int64_t block,
                            int64_t steps, char *scratch) {
    for (int64_t first = 0; first < batch; first += block) {
        int64_t rows = batch - first < block ? batch - first : block;
        for (int64_t t = 0; t < steps; t++)
            for (const Operation *o = operations; o < operations + count; o++) {
#define AT(slot) (slots[slot].whole * first * slots[slot].row_stride + t * slots[slot].step_stride)
#define PLACE(slot) ((REAL *)slots[slot].base + AT(slot))
                if (o->kind == SCAN_LOAD) {
                    const char *from = slots[o->a].base + AT(o->a) * o->bytes;
                    RN(load_rows)(o, rows, from, slots[o->a].row_stride, PLACE(o->out), slots[o->out].row_stride);
                    continue;
                }
                if (o->kind == SCAN_STORE) {
                    char *to = slots[o->out].base + AT(o->out) * o->bytes;
                    RN(store_rows)(o, rows, PLACE(o->a) + o->a_column, slots[o->a].row_stride, to, slots[o->out].row_stride);
                    continue;
                }
                REAL *out = PLACE(o->out);
                int64_t os = slots[o->out].row_stride;
                if (o->kind == SCAN_PRODUCT) {
                    RN(pack_rows)(o, slots, first, t, rows, scratch);
                    Tensor tensors[2] = {{.image_bytes = o->row_bytes, .base = scratch},
                                         {.image_bytes = os * (int64_t)sizeof(REAL), .bytes = sizeof(REAL), .base = (char *)out}};
                    FN(convolve)(&o->product, tensors, rows, 0);
                    continue;
                }
                const REAL *a = PLACE(o->a) + o->a_column, *b = o->b < 0 ? a : PLACE(o->b) + o->b_column;
                int64_t as = slots[o->a].row_stride, bs = o->b < 0 ? 0 : slots[o->b].row_stride;
                if (o->kind == SCAN_REQUANTIZE) RN(requantize_rows)(o, rows, a, as, out, os);
                else RN(element_wise)(o, rows, a, as, b, bs, out, os);
#undef PLACE
#undef AT
            }
    }
}

#undef RN
