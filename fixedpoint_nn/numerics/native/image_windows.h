// SPDX-License-Identifier: MIT
// Gradients of windows of float images (batch, height, width, channels), for numerics/native/image_windows.py.

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

FOR_EVERY_LEVEL(add_windows, (w, windows, images), const Windows *w, const float *windows, float *images)
FOR_EVERY_LEVEL(pool_max_gradient, (w, images, largest, gradient, out), const Windows *w, const float *images,
                const float *largest, const float *gradient, float *out)
