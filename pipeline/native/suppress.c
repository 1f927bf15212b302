/* Greedy non-maximum suppression. Each float operation is one of pipeline/boxes.py and rounds as
   it does there: the build forbids to contract two of them into one. */
#include <stdint.h>

#include "names.h"

static inline float larger(float a, float b) { return a > b ? a : b; }

static inline float lesser(float a, float b) { return a < b ? a : b; }

void OURS(suppress)(int32_t count, const float *restrict boxes, const float *restrict areas,
                    const int32_t *restrict groups, float threshold, float extra,
                    int32_t by_smaller, uint8_t *restrict alive) {
    const float *x1 = boxes, *y1 = x1 + count, *x2 = y1 + count, *y2 = x2 + count;
    int32_t end = 0;
    for (int32_t i = 0; i < count; i++)
        alive[i] = 1;
    for (int32_t i = 0; i < count; i++) {
        for (; end < count && (end <= i || groups[end] == groups[i]); end++)
            ;
        if (!alive[i])
            continue;
        for (int32_t j = i + 1; j < end; j++) {
            const float width = lesser(x2[i], x2[j]) - larger(x1[i], x1[j]) + extra;
            const float height = lesser(y2[i], y2[j]) - larger(y1[i], y1[j]) + extra;
            const float shared = larger(width, 0) * larger(height, 0);
            const float both = areas[i] + areas[j] - shared;
            const float whole = by_smaller ? lesser(areas[i], areas[j]) : both;
            alive[j] &= !(shared / whole > threshold);
        }
    }
}
