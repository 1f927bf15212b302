/* What the kernel offers; pipeline/native/__init__.py mirrors it.

   Weights come packed by pipeline/native/packing.py: arrays of floats, one after the other, in
   the order of the structs below. */
#ifndef ATTRAI_KERNEL_H
#define ATTRAI_KERNEL_H

#include <stdint.h>

/* A 3 x 3 convolution in Winograd's domain, over the 4 x 4 tile, for P-Net: in the order in which
   `convolve` of pnet.h reads it. */
#define STREAM(name, in, out) float name[16 * in * out], name##_bias[out], name##_slope[out]

struct pnet {
    STREAM(conv1, 3, 10);
    STREAM(conv2, 10, 16);
    STREAM(conv3, 16, 32);
    float face[32], face_bias;          /* logit of a face, less that of none */
    float offsets[4][32], offsets_bias[4];
};

/* The same for the other nets: [tile][in][out]. */
#define WINOGRAD(name, in, out) float name[16][in][out], name##_bias[out], name##_slope[out]

/* A convolution or a dense layer: weights[taps][out], out padded to whole vectors by zeros. */
#define LAYER(name, taps, out) float name[taps][out], name##_bias[out], name##_slope[out]

struct rnet {
    LAYER(conv1, 3 * 3 * 3, 32);        /* 28 */
    WINOGRAD(conv2, 28, 48);
    LAYER(conv3, 2 * 2 * 48, 64);
    LAYER(dense, 3 * 3 * 64, 128);
    LAYER(heads, 128, 16);              /* face logit, 4 offsets */
};

struct onet {
    LAYER(conv1, 3 * 3 * 3, 32);
    WINOGRAD(conv2, 32, 64);
    WINOGRAD(conv3, 64, 64);
    LAYER(conv4, 2 * 2 * 64, 128);
    LAYER(dense, 3 * 3 * 128, 256);
    LAYER(heads, 256, 16);              /* face logit, 4 offsets, 10 landmarks */
};

/* A window of P-Net that may hold a face. */
struct cell {
    int32_t level, row, column;
    float logit, offsets[4];
};

struct kernel {
    const char *name;
    /* P-Net on `levels` resized pictures, of height sizes[2 * i] and width sizes[2 * i + 1], each
       at least 12: the windows whose face logit is `logit` or more, rows in no order. `cells`
       has room for all windows. Returns their number, or -1 without memory. */
    int64_t (*propose)(const struct pnet *net, const uint8_t *pixels, int32_t height,
                       int32_t width, int32_t levels, const int32_t *sizes, float logit,
                       struct cell *cells);
    /* R-Net and O-Net on windows [count][4] of x1, y1, x2, y2: their heads, [count][16].
       Returns 0, or -1 without memory. */
    int32_t (*refine)(const struct rnet *net, const uint8_t *pixels, int32_t height,
                      int32_t width, int32_t count, const int32_t *windows, float *heads);
    int32_t (*output)(const struct onet *net, const uint8_t *pixels, int32_t height,
                      int32_t width, int32_t count, const int32_t *windows, float *heads);
    /* Greedy suppression of boxes[4][count]: alive[i] tells who survives. Groups lie one after the
       other and let each other live; in each the best box comes first. Sides count `extra` more;
       `by_smaller` takes the overlap as a share of the smaller box, not of both. */
    void (*suppress)(int32_t count, const float *boxes, const float *areas, const int32_t *groups,
                     float threshold, float extra, int32_t by_smaller, uint8_t *alive);
    /* The picture shrunk to rows x columns, neither of them more than it has, as
       cv2.INTER_AREA does it. Returns 0, or -1 without memory. */
    int32_t (*shrink)(const uint8_t *pixels, int32_t height, int32_t width, int32_t rows,
                      int32_t columns, uint8_t *out);
};

#endif
