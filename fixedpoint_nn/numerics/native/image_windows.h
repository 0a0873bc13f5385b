// SPDX-License-Identifier: MIT
// Windows of float images (batch, height, width, channels), for numerics/native/image_windows.py.

typedef struct {
    int64_t images, height, width, channels;
    int64_t rows, columns;                  // of windows in an image
    int64_t kernel_rows, kernel_columns, down, across, top, left;
} Windows;

// The sum of the windows' elements at each pixel, tap after tap.
INLINE void add_windows(const Windows *w, const float *windows, float *images) {
    int64_t channels = w->channels, window = w->kernel_rows * w->kernel_columns * channels;
    memset(images, 0, (size_t)(w->images * w->height * w->width * channels) * sizeof *images);
    for (int64_t n = 0; n < w->images; n++, windows += w->rows * w->columns * window)
        for (int64_t ky = 0; ky < w->kernel_rows; ky++)
            for (int64_t kx = 0; kx < w->kernel_columns; kx++)
                for (int64_t r = 0; r < w->rows; r++) {
                    int64_t y = r * w->down - w->top + ky;
                    if (y < 0 || y >= w->height) continue;
                    for (int64_t c = 0; c < w->columns; c++) {
                        int64_t x = c * w->across - w->left + kx;
                        if (x < 0 || x >= w->width) continue;
                        const float *from =
                            windows + (r * w->columns + c) * window + (ky * w->kernel_columns + kx) * channels;
                        float *to = images + ((n * w->height + y) * w->width + x) * channels;
                        _Pragma("GCC ivdep")
                        for (int64_t j = 0; j < channels; j++) to[j] += from[j];
                    }
                }
}

// The windows, zero outside of the images: (image, row, column, tap, channel).
INLINE void copy_windows(const Windows *w, const float *images, float *to) {
    int64_t channels = w->channels, taps = w->kernel_columns;
    for (int64_t n = 0; n < w->images; n++)
        for (int64_t r = 0; r < w->rows; r++)
            for (int64_t c = 0; c < w->columns; c++) {
                int64_t x = c * w->across - w->left;
                int64_t first = x < 0 ? (-x < taps ? -x : taps) : 0, last = w->width - x < taps ? w->width - x : taps;
                for (int64_t ky = 0; ky < w->kernel_rows; ky++, to += taps * channels) {
                    int64_t y = r * w->down - w->top + ky, end = y < 0 || y >= w->height || last < first ? first : last;
                    const float *from = images + ((n * w->height + y) * w->width + x) * channels;
                    for (int64_t j = 0; j < first * channels; j++) to[j] = 0;
                    _Pragma("GCC ivdep")
                    for (int64_t j = first * channels; j < end * channels; j++) to[j] = from[j];
                    for (int64_t j = end * channels; j < taps * channels; j++) to[j] = 0;
                }
            }
}

// The same by tap: (tap, channel, image, row, column).
INLINE void copy_taps(const Windows *w, const float *images, float *to) {
    int64_t channels = w->channels;
    for (int64_t ky = 0; ky < w->kernel_rows; ky++)
        for (int64_t kx = 0; kx < w->kernel_columns; kx++) {
            int64_t x = kx - w->left, first = 0, last = w->columns;  // the columns of windows that are inside
            while (first < last && x + first * w->across < 0) first++;
            while (first < last && x + (last - 1) * w->across >= w->width) last--;
            for (int64_t channel = 0; channel < channels; channel++)
                for (int64_t n = 0; n < w->images; n++)
                    for (int64_t r = 0; r < w->rows; r++, to += w->columns) {
                        int64_t y = r * w->down - w->top + ky, step = w->across * channels;
                        int64_t end = y < 0 || y >= w->height ? first : last;
                        const float *from = images + ((n * w->height + y) * w->width + x) * channels + channel;
                        for (int64_t c = 0; c < first; c++) to[c] = 0;
                        if (step == 1)
                            for (int64_t c = first; c < end; c++) to[c] = from[c];
                        else
                            for (int64_t c = first; c < end; c++) to[c] = from[c * step];
                        for (int64_t c = end; c < w->columns; c++) to[c] = 0;
                    }
        }
}

// The gradient of max pooling with windows that partition the image: it goes to the first largest tap of each.
INLINE void pool_max_gradient(const Windows *w, const float *images, const float *largest, const float *gradient, float *out) {
    enum { MOST = 64 };
    int32_t open[MOST];  // whether the largest tap was not met yet, by channel
    int64_t channels = w->channels;
    for (int64_t n = 0; n < w->images; n++)
        for (int64_t r = 0; r < w->rows; r++)
            for (int64_t c = 0; c < w->columns; c++, largest += channels, gradient += channels)
                for (int64_t first = 0; first < channels; first += MOST) {
                    int64_t count = channels - first < MOST ? channels - first : MOST;
                    for (int64_t j = 0; j < count; j++) open[j] = 1;
                    for (int64_t ky = 0; ky < w->kernel_rows; ky++)
                        for (int64_t kx = 0; kx < w->kernel_columns; kx++) {
                            int64_t y = r * w->kernel_rows + ky, x = c * w->kernel_columns + kx;
                            int64_t at = ((n * w->height + y) * w->width + x) * channels + first;
                            _Pragma("GCC ivdep")
                            for (int64_t j = 0; j < count; j++) {
                                int32_t here = open[j] & (images[at + j] == largest[first + j]);
                                open[j] ^= here;
                                out[at + j] = gradient[first + j] * (float)here;
                            }
                        }
                }
}

FOR_EVERY_LEVEL(copy_windows, (w, images, to), const Windows *w, const float *images, float *to)
FOR_EVERY_LEVEL(copy_taps, (w, images, to), const Windows *w, const float *images, float *to)
FOR_EVERY_LEVEL(add_windows, (w, windows, images), const Windows *w, const float *windows, float *images)
FOR_EVERY_LEVEL(pool_max_gradient, (w, images, largest, gradient, out), const Windows *w, const float *images,
                const float *largest, const float *gradient, float *out)
