/* R-Net and O-Net on windows of the picture. Lanes run along the outputs of a layer, so that one
   window costs one window; maps lie as [row][column][channel]. */
#ifndef ATTRAI_NETS_H
#define ATTRAI_NETS_H

#include <math.h>
#include <stdlib.h>

#include "area.h"
#include "kernel.h"
#include "winograd.h"

#define CHUNK 16           /* windows that go through the dense layers together */
#define SLACK (16 * 1152) /* floats beyond a map that its last tile may read */

/* The sums of `run` products that start at each of `pixels` places, `step` apart, for `lines`
   runs, `line` apart: `vecs` vectors of outputs each, with bias and PReLU unless these are null. */
INLINE void tile(const int pixels, const int vecs, const float *in, const ptrdiff_t step,
                 const int lines, const ptrdiff_t line, const int run, const float *weights,
                 const ptrdiff_t outs, const float *bias, const float *slope, const int wanted,
                 float *out, const ptrdiff_t out_step) {
    vec sum[16][4];
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vecs; v++)
            sum[p][v] = bias ? load(bias + v * LANES) : same(0);
    for (int l = 0; l < lines; l++) {
        for (int i = 0; i < run; i++) {
            vec w[4];
            UNROLL for (int v = 0; v < vecs; v++) w[v] = load(weights + v * LANES);
            UNROLL for (int p = 0; p < pixels; p++)
                UNROLL for (int v = 0; v < vecs; v++)
                    sum[p][v] += w[v] * in[l * line + i + p * step];
            weights += outs;
        }
    }
    UNROLL for (int p = 0; p < pixels; p++) {
        if (p >= wanted)
            return;
        UNROLL for (int v = 0; v < vecs; v++)
            store(out + p * out_step + v * LANES,
                  slope ? prelu(sum[p][v], load(slope + v * LANES)) : sum[p][v]);
    }
}

/* Row y of a size x size convolution of a map of rows of width x in, without a border. `pixels` x
   `vecs` outputs are summed at once; what a last tile has too many may read beyond the map. */
INLINE void layer_row(const int pixels, const int vecs, const int size, const int in,
                      const int outs, const float *map, int y, int width, const float *weights,
                      const float *bias, const float *slope, float *out) {
    const int columns = width - size + 1;
    for (int x = 0; x < columns; x += pixels)
        for (int o = 0; o < outs; o += vecs * LANES)
            tile(pixels, vecs, map + ((ptrdiff_t)y * width + x) * in, in, size,
                 (ptrdiff_t)width * in, size * in, weights + o, outs, bias + o, slope + o,
                 columns - x, out + (ptrdiff_t)x * outs + o, outs);
}

/* All rows of it. */
INLINE void layer(const int pixels, const int vecs, const int size, const int in, const int outs,
                  const float *map, int height, int width, const float *weights, const float *bias,
                  const float *slope, float *out) {
    for (int y = 0; y + size <= height; y++, out += (ptrdiff_t)(width - size + 1) * outs)
        layer_row(pixels, vecs, size, in, outs, map, y, width, weights, bias, slope, out);
}

/* A 3 x 3 convolution of a side x side x in map: `rows` rows of tiles at a time into the domain of
   the tiles, there through 16 dense layers, and back. Tiles may read beyond the map; what comes of
   that is not laid down. */
INLINE void tiled_layer(const int pixels, const int vecs, const int rows, const int in,
                        const int outs, const float *map, const int side, const float *weights,
                        const float *bias, const float *slope, float *tiles, float *products,
                        float *out) {
    const int cells = side - 2, across = (cells + 1) / 2, step = round_up(in, LANES);
    for (int first = 0; first < across; first += rows) {
        const int here = across * (across - first < rows ? across - first : rows);
        for (int t = 0; t < here; t++) {
            const int y = 2 * (first + t / across), x = 2 * (t % across);
            const float *corner = map + ((ptrdiff_t)y * side + x) * in;
            for (int i = 0; i < in; i += LANES) {
                vec d[4][4];
                UNROLL for (int k = 0; k < 16; k++)
                    d[k / 4][k % 4] = load(corner + ((ptrdiff_t)(k / 4) * side + k % 4) * in + i);
                into_tile(d);
                UNROLL for (int k = 0; k < 16; k++)
                    store(tiles + ((ptrdiff_t)k * here + t) * step + i, d[k / 4][k % 4]);
            }
        }
        for (int k = 0; k < 16; k++)
            for (int t = 0; t < here; t += pixels)
                for (int o = 0; o < outs; o += vecs * LANES)
                    tile(pixels, vecs, tiles + ((ptrdiff_t)k * here + t) * step, step, 1, 0, in,
                         weights + (ptrdiff_t)k * in * outs + o, outs, NULL, NULL, here - t,
                         products + ((ptrdiff_t)k * here + t) * outs + o, outs);
        for (int t = 0; t < here; t++) {
            const int y = 2 * (first + t / across), x = 2 * (t % across);
            for (int o = 0; o < outs; o += LANES) {
                vec m[4][4], four[4];
                UNROLL for (int k = 0; k < 16; k++)
                    m[k / 4][k % 4] = load(products + ((ptrdiff_t)k * here + t) * outs + o);
                out_of_tile(m, four);
                UNROLL for (int q = 0; q < 4; q++)
                    if (y + q / 2 < cells && x + q % 2 < cells)
                        store(out + ((ptrdiff_t)(y + q / 2) * cells + x + q % 2) * outs + o,
                              prelu(four[q] + load(bias + o), load(slope + o)));
            }
        }
    }
}

/* Row y of pooling: the largest of each size x size window, two apart, of a side x side map of
   which row r is rows[r % ring]; windows that reach beyond the border are cut. Of `outs` channels,
   `keep` are laid down. */
INLINE void pool_map_row(const int size, const int side, const int outs, const int keep,
                         const float *rows, const int ring, int y, float *out) {
    const int cells = (side - size + 1) / 2 + 1;
    for (int x = 0; x < cells; x++, out += keep)
        for (int o = 0; o < outs; o += LANES) {
            vec most = same(-INFINITY);
            for (int r = 2 * y; r < 2 * y + size && r < side; r++)
                for (int c = 2 * x; c < 2 * x + size && c < side; c++)
                    most = maximum(most, load(rows + ((r % ring) * side + c) * outs + o));
            store(out + o, most);
        }
}

/* All rows of it, of a map that is whole. */
INLINE void pool(const int size, const int side, const int outs, const int keep, const float *map,
                 float *out) {
    const int cells = (side - size + 1) / 2 + 1;
    for (int y = 0; y < cells; y++)
        pool_map_row(size, side, outs, keep, map, side, y, out + (ptrdiff_t)y * cells * keep);
}

/* The first layer, of 3 x 3 x 3, and its 3 x 3 pooling, with no more than four rows between them:
   a whole map would fall out of the nearest cache. */
INLINE void first_layer(const int pixels, const int vecs, const int keep, const float *crop,
                        const int side, const float *weights, const float *bias,
                        const float *slope, float *rows, float *out) {
    const int columns = side - 2, cells = (columns - 2) / 2 + 1;
    int done = 0;
    for (int y = 0; y < cells; y++) {
        for (; done < 2 * y + 3 && done < columns; done++)
            layer_row(pixels, vecs, 3, 3, 32, crop, done, side, weights, bias, slope,
                      rows + (ptrdiff_t)(done % 4) * columns * 32);
        pool_map_row(3, columns, 32, keep, rows, 4, y, out + (ptrdiff_t)y * cells * keep);
    }
}

/* As many outputs at once as there are registers. */
#if LANES == 16
#define TILE(pixels, vecs) pixels, vecs
#else
#define TILE(pixels, vecs) (LANES == 8 ? 5 : 4), 2
#endif
#define LAYER_OF(net, name) &(net)->name[0][0], (net)->name##_bias, (net)->name##_slope

#define TILES_OF(net, name) &(net)->name[0][0][0], (net)->name##_bias, (net)->name##_slope

struct work {
    struct picture picture;
    uint16_t *columns;
    pixel *prefix;
    float *crop, *wide, *narrow, *tiles, *products, *features, *dense;
};

/* The last map of R-Net on a window: [3][3][64]. */
static void rnet_features(const struct rnet *net, const struct work *work, const int32_t window[4],
                          float *features) {
    crop_area(&work->picture, window, 24, work->columns, work->prefix, work->crop);
    first_layer(TILE(11, 2), 28, work->crop, 24, LAYER_OF(net, conv1), work->wide, work->narrow);
    tiled_layer(TILE(9, 3), 5, 28, 48, work->narrow, 11, TILES_OF(net, conv2), work->tiles,
                work->products, work->wide);
    pool(3, 9, 48, 48, work->wide, work->narrow);
    layer(TILE(3, 4), 2, 48, 64, work->narrow, 4, 4, LAYER_OF(net, conv3), features);
}

/* The last map of O-Net on a window: [3][3][128]. */
static void onet_features(const struct onet *net, const struct work *work, const int32_t window[4],
                          float *features) {
    crop_area(&work->picture, window, 48, work->columns, work->prefix, work->crop);
    first_layer(TILE(12, 2), 32, work->crop, 48, LAYER_OF(net, conv1), work->wide, work->narrow);
    tiled_layer(TILE(11, 2), 2, 32, 64, work->narrow, 23, TILES_OF(net, conv2), work->tiles,
                work->products, work->wide);
    pool(3, 21, 64, 64, work->wide, work->narrow);
    tiled_layer(TILE(8, 2), 4, 64, 64, work->narrow, 10, TILES_OF(net, conv3), work->tiles,
                work->products, work->wide);
    pool(2, 8, 64, 64, work->wide, work->narrow);
    layer(TILE(3, 4), 2, 64, 128, work->narrow, 4, 4, LAYER_OF(net, conv4), features);
}

/* `count` windows' features [count][taps] through a dense layer. */
INLINE void dense(const int taps, const int outs, const float *features, int count,
                  const float *weights, const float *bias, const float *slope, float *out) {
    layer(TILE(8, (outs == 16 ? 1 : 2)), 1, taps, outs, features, 1, count, weights, bias, slope,
          out);
}

static int make_work(struct work *work, const uint8_t *pixels, int32_t height, int32_t width) {
    /* The largest that either net lays down. */
    const struct {
        float **at;
        size_t floats;
    } parts[] = {{&work->crop, 48 * 48 * 3},      {&work->wide, 21 * 21 * 64},
                 {&work->narrow, 23 * 23 * 32},   {&work->tiles, 16 * 25 * 64},
                 {&work->products, 16 * 25 * 64}, {&work->features, CHUNK * 1152},
                 {&work->dense, CHUNK * 256}};
    const size_t count = sizeof parts / sizeof *parts;
    const size_t columns = 3 * (size_t)width + 8, prefix = (size_t)width + 1;
    size_t floats = 0;
    for (size_t i = 0; i < count; i++)
        floats += parts[i].floats + SLACK;
    char *block = calloc(1, prefix * sizeof(pixel) + floats * sizeof(float) + columns * 2);
    if (!block)
        return -1;
    work->picture = (struct picture){pixels, height, width};
    work->prefix = (pixel *)block;
    float *next = (float *)(work->prefix + prefix);
    for (size_t i = 0; i < count; i++) {
        *parts[i].at = next;
        next += parts[i].floats + SLACK;
    }
    work->columns = (uint16_t *)next;
    return 0;
}

static int32_t refine(const struct rnet *net, const uint8_t *pixels, int32_t height, int32_t width,
                      int32_t count, const int32_t *windows, float *heads) {
    struct work work;
    if (make_work(&work, pixels, height, width))
        return -1;
    for (int32_t start = 0; start < count; start += CHUNK) {
        const int chunk = count - start < CHUNK ? count - start : CHUNK;
        for (int i = 0; i < chunk; i++)
            rnet_features(net, &work, windows + 4 * (start + i), work.features + 576 * i);
        dense(576, 128, work.features, chunk, LAYER_OF(net, dense), work.dense);
        dense(128, 16, work.dense, chunk, LAYER_OF(net, heads), heads + 16 * (ptrdiff_t)start);
    }
    free(work.prefix);
    return 0;
}

static int32_t output(const struct onet *net, const uint8_t *pixels, int32_t height, int32_t width,
                      int32_t count, const int32_t *windows, float *heads) {
    struct work work;
    if (make_work(&work, pixels, height, width))
        return -1;
    for (int32_t start = 0; start < count; start += CHUNK) {
        const int chunk = count - start < CHUNK ? count - start : CHUNK;
        for (int i = 0; i < chunk; i++)
            onet_features(net, &work, windows + 4 * (start + i), work.features + 1152 * i);
        dense(1152, 256, work.features, chunk, LAYER_OF(net, dense), work.dense);
        dense(256, 16, work.dense, chunk, LAYER_OF(net, heads), heads + 16 * (ptrdiff_t)start);
    }
    free(work.prefix);
    return 0;
}

#endif
