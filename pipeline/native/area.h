/* Area resampling exactly as torch's interpolate(mode="area"): cell i of n averages the input
   cells floor(i*size/n) .. ceil((i+1)*size/n). Sums are whole numbers; division by the height,
   then by the width, in float, as torch rounds. See pipeline/pooling.py. */
#ifndef ATTRAI_AREA_H
#define ATTRAI_AREA_H

#include "lanes.h"

struct picture {
    const uint8_t *pixels; /* RGB, rows without gaps */
    int height, width;
};

INLINE int first_cell(int i, int size, int cells) { return (int)((int64_t)i * size / cells); }

INLINE int last_cell(int i, int size, int cells) {
    return (int)(((int64_t)(i + 1) * size + cells - 1) / cells);
}

/* MTCNN's nets see -1 .. 1. */
INLINE float normalised(float value) { return (value - 127.5f) * 0.0078125f; }

/* A pixel's channels, and one that is not used. */
typedef int32_t pixel __attribute__((vector_size(16)));
typedef uint16_t shorts __attribute__((vector_size(16)));
typedef uint16_t loose_shorts __attribute__((vector_size(16), aligned(2), may_alias));

/* columns[i] plus, or equal to, the i-th bytes of so many rows: a few at a time, from left to right,
   as the processor expects it when it fetches ahead. */
INLINE void add_rows(const int fresh, const int rows, const uint8_t *restrict first,
                     ptrdiff_t stride, int bytes, uint16_t *restrict columns) {
    for (int i = 0; i < bytes; i++) {
        uint16_t sum = fresh ? 0 : columns[i];
        UNROLL for (int y = 0; y < rows; y++) sum = (uint16_t)(sum + first[y * stride + i]);
        columns[i] = sum;
    }
}

/* Prefix sums along x of the sums of the rows top .. bottom of the columns left .. right:
   prefix[x][c] is the sum of channel c over the first x columns. `columns` is scratch for the sums
   of the columns, of up to 257 rows, and 8 more. */
static void sum_rows(const struct picture *picture, int top, int bottom, int left, int right,
                     uint16_t *restrict columns, pixel *restrict prefix) {
    const ptrdiff_t stride = 3 * (ptrdiff_t)picture->width;
    const uint8_t *row = picture->pixels + top * stride + 3 * (ptrdiff_t)left;
    const int bytes = 3 * (right - left);
    int rows = bottom - top;
    if (rows >= 3)
        add_rows(1, 3, row, stride, bytes, columns), row += 3 * stride, rows -= 3;
    else if (rows == 2)
        add_rows(1, 2, row, stride, bytes, columns), rows = 0;
    else
        add_rows(1, 1, row, stride, bytes, columns), rows = 0;
    for (; rows >= 4; rows -= 4, row += 4 * stride)
        add_rows(0, 4, row, stride, bytes, columns);
    for (; rows > 0; rows--, row += stride)
        add_rows(0, 1, row, stride, bytes, columns);
    pixel sum = {0};
    prefix[0] = sum;
    for (int x = 0; x < right - left; x++) {
        const shorts next = *(const loose_shorts *)(columns + 3 * x);
        sum += (pixel)__builtin_shufflevector(next, (shorts){0}, 0, 8, 1, 8, 2, 8, 8, 8);
        prefix[x + 1] = sum;
    }
}

/* The window x1, y1, x2, y2 of the picture (ends excluded, not empty) as size x size x 3
   normalised floats, size at most 48. Scratch as for sum_rows. */
static void crop_area(const struct picture *picture, const int32_t window[4], int size,
                      uint16_t *columns, pixel *prefix, float *restrict crop) {
    const int left = window[0], top = window[1];
    const int width = window[2] - left, height = window[3] - top;
    int32_t start[3 * 48], end[3 * 48], sums[3 * 48];
    float widths[3 * 48];
    for (int i = 0; i < 3 * size; i++) {
        const int first = first_cell(i / 3, width, size), last = last_cell(i / 3, width, size);
        start[i] = 4 * first + i % 3;
        end[i] = 4 * last + i % 3;
        widths[i] = (float)(last - first);
    }
    for (int y = 0; y < size; y++, crop += 3 * size) {
        const int first = first_cell(y, height, size), last = last_cell(y, height, size);
        sum_rows(picture, top + first, top + last, left, left + width, columns, prefix);
        const int32_t *each = (const int32_t *)prefix;
        for (int i = 0; i < 3 * size; i++)
            sums[i] = each[end[i]] - each[start[i]];
        for (int i = 0; i < 3 * size; i++)
            crop[i] = normalised((float)sums[i] / (float)(last - first) / widths[i]);
    }
}

#endif
