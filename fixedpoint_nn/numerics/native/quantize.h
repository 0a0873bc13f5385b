// SPDX-License-Identifier: MIT
// Floats to integers of a format: times a power of two, rounded, saturated; for numerics/native/quantize.py.

typedef struct {
    int64_t count;
    int32_t doubles;    // whether the floats are float64, else float32
    int32_t rounding;
    int32_t kind;       // of the results
    double scale, low, high;
    double largest;   // result: the largest magnitude, before saturation
    int64_t outside;  // result: whether one was beyond low or high
} Quantize;

enum { INT8S, UINT8S, INT16S, UINT16S, INT64S, FLOATS, DOUBLES };
enum { QUANTIZED = 256 };  // floats at a time, which stay in the cache

// trunc is at most half an integer away from zero, so the rest is exact.
INLINE double nearest(double value, int rounding) {
    double whole = __builtin_trunc(value), rest = value - whole;
    switch (rounding) {
        case TOWARD_ZERO: return whole;
        case HALF_UP: return whole + (rest >= 0.5 ? 1.0 : 0.0) - (rest < -0.5 ? 1.0 : 0.0);
        case HALF_DOWN: return whole + (rest > 0.5 ? 1.0 : 0.0) - (rest <= -0.5 ? 1.0 : 0.0);
        case HALF_AWAY: return whole + (rest >= 0.5 ? 1.0 : 0.0) - (rest <= -0.5 ? 1.0 : 0.0);
        case HALF_TOWARD_ZERO: return whole + (rest > 0.5 ? 1.0 : 0.0) - (rest < -0.5 ? 1.0 : 0.0);
        case HALF_EVEN: return __builtin_rint(value);
        default: return whole - (rest < 0 ? 1.0 : 0.0);
    }
}

// Sets `largest` and `outside`; of a product that is not finite, `largest` is not, and the results mean nothing.
INLINE void quantize(Quantize *p, const void *x, void *out) {
    union { double of[QUANTIZED]; int64_t bits[QUANTIZED]; } steps;
    union { int64_t bits; double of; } largest = {0};  // of floats that are not negative, the largest has the largest bits
    int64_t outside = 0;
    double scale = p->scale, low = p->low, high = p->high;
    for (int64_t start = 0; start < p->count; start += QUANTIZED) {
        int64_t n = p->count - start < QUANTIZED ? p->count - start : QUANTIZED;
        if (n < QUANTIZED) memset(&steps, 0, sizeof steps);
        if (p->doubles)
            for (int64_t i = 0; i < n; i++) steps.of[i] = ((const double *)x)[start + i] * scale;
        else
            for (int64_t i = 0; i < n; i++) steps.of[i] = (double)((const float *)x)[start + i] * scale;
#define CASE(r)                                                                         \
    case r:                                                                             \
        for (int i = 0; i < QUANTIZED; i++) steps.of[i] = nearest(steps.of[i], r) + 0.0;\
        break;
        switch (p->rounding) {
            CASE(FLOOR) CASE(TOWARD_ZERO) CASE(HALF_UP) CASE(HALF_DOWN) CASE(HALF_AWAY) CASE(HALF_TOWARD_ZERO) CASE(HALF_EVEN)
        }
#undef CASE
        for (int i = 0; i < QUANTIZED; i++) {
            int64_t size = steps.bits[i] & INT64_MAX;
            largest.bits = size > largest.bits ? size : largest.bits;
        }
        for (int i = 0; i < QUANTIZED; i++) outside |= (steps.of[i] < low) | (steps.of[i] > high);
        for (int i = 0; i < QUANTIZED; i++) steps.of[i] = steps.of[i] < low ? low : steps.of[i] > high ? high : steps.of[i];
#define STORE(kind, type, through)                                                             \
    case kind:                                                                                 \
        for (int64_t i = 0; i < n; i++) ((type *)out)[start + i] = (type)(through)steps.of[i];    \
        break;
        switch (p->kind) {
            STORE(INT8S, int8_t, int32_t) STORE(UINT8S, uint8_t, int32_t) STORE(INT16S, int16_t, int32_t)
            STORE(UINT16S, uint16_t, int32_t) STORE(INT64S, int64_t, int64_t) STORE(FLOATS, float, double)
            STORE(DOUBLES, double, double)
        }
#undef STORE
    }
    p->largest = largest.of;
    p->outside = outside;
}

FOR_EVERY_LEVEL(quantize, (p, x, out), Quantize *p, const void *x, void *out)
