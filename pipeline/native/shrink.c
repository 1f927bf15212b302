/* cv2.resize(…, INTER_AREA) of an RGB picture to fewer pixels: each pixel is the mean of the area
   that it stands for, where pixels that belong to it in part count in part. To the bit, unless both
   scales are whole numbers: the same floats in the same order, three channels side by side. The
   build forbids to contract two operations into one, for OpenCV rounds after each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

typedef float four __attribute__((vector_size(16)));

/* What each of `target` cells takes of a line of `source`: `most` neighbours from from[i] on, with
   their weights. What is beyond a cell's own weighs nothing. */
static void share_out(int source, int target, int most, int32_t *from, float *weights) {
    const double scale = (double)source / target;
    for (int i = 0; i < target; i++, weights += most) {
        const double start = i * scale, end = start + scale;
        const double cell = scale < source - start ? scale : source - start;
        int whole = (int)start + (start > (int)start), last = (int)end, count = 0;
        last = last < source - 1 ? last : source - 1;
        whole = whole < last ? whole : last;
        memset(weights, 0, sizeof(float) * (size_t)most);
        int first = whole;
        if (whole - start > 1e-3) {
            first = whole - 1;
            weights[count++] = (float)((whole - start) / cell);
        }
        for (int s = whole; s < last; s++)
            weights[count++] = (float)(1.0 / cell);
        if (end - last > 1e-3) {
            const double rest = end - last < 1 ? end - last : 1;
            weights[count++] = (float)((rest < cell ? rest : cell) / cell);
        }
        /* At the end of the line the zeros come first, so that nothing beyond it is read. */
        const int back = first + most - source;
        if (back > 0) {
            memmove(weights + back, weights, sizeof(float) * (size_t)count);
            memset(weights, 0, sizeof(float) * (size_t)back);
            first -= back;
        }
        from[i] = first;
    }
}

/* A line shrunk along x. Of the four floats that are written for a pixel the last is the next
   pixel's, and is written over. */
static inline __attribute__((always_inline)) void shrink_line(const float *in, int columns,
                                                              const int most, const int32_t *from,
                                                              const float *weights, float *out) {
    for (int x = 0; x < columns; x++, weights += most, out += 3) {
        four pixel, sum;
        memcpy(&pixel, in + 3 * from[x], sizeof pixel);
        sum = pixel * weights[0];
        for (int j = 1; j < most; j++) {
            memcpy(&pixel, in + 3 * (from[x] + j), sizeof pixel);
            sum = sum + pixel * weights[j];
        }
        memcpy(out, &sum, sizeof sum);
    }
}

/* How many neighbours a cell takes at most. */
static int neighbours(int source, int target) {
    const int most = (source + target - 1) / target + 1;
    return most < source ? most : source;
}

int32_t OURS(shrink)(const uint8_t *pixels, int32_t height, int32_t width, int32_t rows,
                     int32_t columns, uint8_t *restrict out) {
    const int across = neighbours(width, columns), down = neighbours(height, rows);
    const size_t bytes = 3 * (size_t)columns, wide_bytes = 3 * (size_t)width;
    const size_t weights = (size_t)columns * (size_t)across + (size_t)rows * (size_t)down;
    int32_t *x_from = malloc(sizeof(int32_t) * ((size_t)columns + (size_t)rows));
    float *x_weights = malloc(sizeof(float) * weights);
    float *wide = malloc(sizeof(float) * (wide_bytes + 1 + 2 * (bytes + 1)));
    const int ready = x_from && x_weights && wide;
    if (ready) {
        int32_t *y_from = x_from + columns, done = -1;
        float *y_weights = x_weights + (size_t)columns * (size_t)across;
        float *restrict line = wide + wide_bytes + 1, *restrict sum = line + bytes + 1;
        wide[wide_bytes] = 0;
        share_out(width, columns, across, x_from, x_weights);
        share_out(height, rows, down, y_from, y_weights);
        for (int y = 0; y < rows; y++, out += bytes) {
            int started = 0;
            for (int k = 0; k < down; k++) {
                const float weight = y_weights[(size_t)y * (size_t)down + (size_t)k];
                if (weight == 0)
                    continue;
                if (y_from[y] + k != done) {
                    done = y_from[y] + k;
                    const uint8_t *row = pixels + (size_t)done * wide_bytes;
                    for (size_t i = 0; i < wide_bytes; i++)
                        wide[i] = row[i];
                    if (across == 2)
                        shrink_line(wide, columns, 2, x_from, x_weights, line);
                    else if (across == 3)
                        shrink_line(wide, columns, 3, x_from, x_weights, line);
                    else
                        shrink_line(wide, columns, across, x_from, x_weights, line);
                }
                for (size_t i = 0; i < bytes; i++)
                    sum[i] = started ? sum[i] + line[i] * weight : line[i] * weight;
                started = 1;
            }
            for (size_t i = 0; i < bytes; i++) {
                /* So much more leaves no bits for a fraction, and rounds to even, as OpenCV does. */
                const float shifted = sum[i] + 12582912.0f;
                int32_t bits;
                memcpy(&bits, &shifted, sizeof bits);
                out[i] = (uint8_t)bits;
            }
        }
    }
    free(x_from);
    free(x_weights);
    free(wide);
    return ready ? 0 : -1;
}
