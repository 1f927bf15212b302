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

typedef uint16_t shorts __attribute__((vector_size(4 * LANES)));
typedef uint16_t loose_shorts __attribute__((vector_size(4 * LANES), aligned(2), may_alias));
typedef uint8_t loose_bytes __attribute__((vector_size(2 * LANES), aligned(1), may_alias));

/* Prefix sums along x of the sums of the rows top .. bottom of the columns left .. right:
   prefix[3 * x + c] is the sum of channel c over the first x columns. `columns` is scratch for
   3 * (right - left) sums, which hold up to 257 rows. */
static void sum_rows(const struct picture *picture, int top, int bottom, int left, int right,
                     uint16_t *restrict columns, int32_t *restrict prefix) {
    const ptrdiff_t stride = 3 * (ptrdiff_t)picture->width;
    const uint8_t *first = picture->pixels + top * stride + 3 * (ptrdiff_t)left;
    const int bytes = 3 * (right - left), rows = bottom - top;
    int i = 0;
    for (; i + 2 * LANES <= bytes; i += 2 * LANES) {
        shorts sum = {0};
        for (int y = 0; y < rows; y++)
            sum += __builtin_convertvector(*(const loose_bytes *)(first + y * stride + i), shorts);
        *(loose_shorts *)(columns + i) = sum;
    }
    for (; i < bytes; i++) {
        columns[i] = 0;
        for (int y = 0; y < rows; y++)
            columns[i] = (uint16_t)(columns[i] + first[y * stride + i]);
    }
    int32_t red = 0, green = 0, blue = 0;
    prefix[0] = prefix[1] = prefix[2] = 0;
    for (i = 0; i < bytes; i += 3) {
        prefix[i + 3] = red += columns[i];
        prefix[i + 4] = green += columns[i + 1];
        prefix[i + 5] = blue += columns[i + 2];
    }
}

/* The window x1, y1, x2, y2 of the picture (ends excluded, not empty) as size x size x 3
   normalised floats, size at most 48. Scratch as for sum_rows. */
static void crop_area(const struct picture *picture, const int32_t window[4], int size,
                      uint16_t *columns, int32_t *prefix, float *restrict crop) {
    const int left = window[0], top = window[1];
    const int width = window[2] - left, height = window[3] - top;
    int32_t start[3 * 48], end[3 * 48], sums[3 * 48];
    float widths[3 * 48];
    for (int i = 0; i < 3 * size; i++) {
        const int first = first_cell(i / 3, width, size), last = last_cell(i / 3, width, size);
        start[i] = 3 * first + i % 3;
        end[i] = 3 * last + i % 3;
        widths[i] = (float)(last - first);
    }
    for (int y = 0; y < size; y++, crop += 3 * size) {
        const int first = first_cell(y, height, size), last = last_cell(y, height, size);
        sum_rows(picture, top + first, top + last, left, left + width, columns, prefix);
        for (int i = 0; i < 3 * size; i++)
            sums[i] = prefix[end[i]] - prefix[start[i]];
        for (int i = 0; i < 3 * size; i++)
            crop[i] = normalised((float)sums[i] / (float)(last - first) / widths[i]);
    }
}

#endif
