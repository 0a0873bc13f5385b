// SPDX-License-Identifier: MIT
// Float operations element by element, several one after the other for each row while it is in the cache, for
// numerics/native/elementwise.py. Every operation is a loop with a result in memory, so that each one rounds as NumPy's does.

enum { COPY_ELEMENTS, NEGATE_ELEMENTS, ADD_ELEMENTS, SUBTRACT_ELEMENTS, MULTIPLY_ELEMENTS, PASS_ELEMENTS };

typedef struct {
    int64_t kind, width;
    const float *a, *b;
    float *out;  // may be a or b
    int64_t a_row, b_row, out_row;     // from one row to the next, in floats
    int64_t a_step, b_step, out_step;  // from one time step to the next
} Elementwise;

INLINE void elementwise(const Elementwise *all, int64_t count, int64_t rows, int64_t step) {
    for (int64_t row = 0; row < rows; row++)
        for (const Elementwise *e = all; e < all + count; e++) {
            const float *a = e->a + step * e->a_step + row * e->a_row, *b = e->b + step * e->b_step + row * e->b_row;
            float *out = e->out + step * e->out_step + row * e->out_row;
            int64_t width = e->width;
#define CASE(kind, value)                                         \
    case kind:                                                    \
        _Pragma("GCC ivdep")                                      \
        for (int64_t j = 0; j < width; j++) out[j] = value;       \
        break;
            switch (e->kind) {
                CASE(COPY_ELEMENTS, a[j])
                CASE(NEGATE_ELEMENTS, -a[j])
                CASE(ADD_ELEMENTS, a[j] + b[j])
                CASE(SUBTRACT_ELEMENTS, a[j] - b[j])
                CASE(MULTIPLY_ELEMENTS, a[j] * b[j])
                CASE(PASS_ELEMENTS, a[j] * (b[j] > 0 ? 1.0f : 0.0f))
            }
#undef CASE
        }
}

FOR_EVERY_LEVEL(elementwise, (all, count, rows, step), const Elementwise *all, int64_t count, int64_t rows, int64_t step)
