/* F(2 x 2, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
   2016: 2 x 2 outputs of a 3 x 3 convolution by 16 products in place of 36. In float it rounds no
   worse than the plain sum does. The kernels come transformed, by pipeline/native/packing.py. */
#ifndef ATTRAI_WINOGRAD_H
#define ATTRAI_WINOGRAD_H

#include "lanes.h"

/* B'dB of a 4 x 4 piece of the map. */
INLINE void into_tile(vec d[4][4]) {
    UNROLL for (int r = 0; r < 4; r++) {
        const vec a = d[r][0], b = d[r][1], c = d[r][2], e = d[r][3];
        d[r][0] = a - c, d[r][1] = b + c, d[r][2] = c - b, d[r][3] = b - e;
    }
    UNROLL for (int i = 0; i < 4; i++) {
        const vec a = d[0][i], b = d[1][i], c = d[2][i], e = d[3][i];
        d[0][i] = a - c, d[1][i] = b + c, d[2][i] = c - b, d[3][i] = b - e;
    }
}

/* A'mA: the outputs top left, top right, bottom left, bottom right. */
INLINE void out_of_tile(const vec m[4][4], vec y[4]) {
    vec half[2][4];
    UNROLL for (int i = 0; i < 4; i++) {
        half[0][i] = m[0][i] + m[1][i] + m[2][i];
        half[1][i] = m[1][i] - m[2][i] - m[3][i];
    }
    UNROLL for (int r = 0; r < 2; r++) {
        y[2 * r] = half[r][0] + half[r][1] + half[r][2];
        y[2 * r + 1] = half[r][1] - half[r][2] - half[r][3];
    }
}

#endif
