/* P-Net over an image pyramid, fused from the pixels to the windows that may hold a face.

   Rows stream through resize, convolution, pooling and two more convolutions, so that all that is
   ever held is a few rows of each. Lanes run along x. So that no lane is ever moved, rows lie in
   phases: a row of the picture as columns 4j, 4j+1, 4j+2, 4j+3, every later one as columns 2j,
   2j+1. */
#ifndef ATTRAI_PNET_H
#define ATTRAI_PNET_H

#include <math.h>
#include <stdlib.h>

#include "area.h"
#include "kernel.h"
#include "winograd.h"

#define RING 8 /* rows of each kind that are held */

/* Adds to a[g] and b[g] the products of two tiles' places, for `group` outputs. */
INLINE const float *add_products(const int in, const int group, const vec *first,
                                 const vec *second, const float *w, vec *a, vec *b) {
    for (int i = 0; i < in; i++, w += 2 * group) {
        const vec d = first[i], e = second[i];
        UNROLL for (int g = 0; g < group; g++) a[g] += d * w[g];
        UNROLL for (int g = 0; g < group; g++) b[g] += e * w[group + g];
    }
    return w;
}

/* A block of 2 x 2 outputs for LANES neighbours, biased and through PReLU: y[o] = (top left, top
   right, bottom left, bottom right) of output o. rows[r] + phase[c] is where column c of row r
   lies for the first input, that of the next one `plane` further.

   The way out of the tile is taken between the sums, which never leave their registers: its
   columns 1 and 2 go into both columns of the block, 0 and 3 into one; rows alike. The weights
   lie in the order in which they are read, with the signs of that way. */
INLINE void convolve(const int in, const int out, const int group, const float *const rows[4],
                     const ptrdiff_t phase[4], ptrdiff_t plane, const float *weights,
                     const float *bias, const float *slope, vec (*y)[4]) {
    vec tile[4][4][16];
    for (int i = 0; i < in; i++) {
        vec d[4][4];
        UNROLL for (int r = 0; r < 4; r++)
            UNROLL for (int c = 0; c < 4; c++) d[r][c] = load(rows[r] + i * plane + phase[c]);
        into_tile(d);
        UNROLL for (int k = 0; k < 16; k++) tile[k / 4][k % 4][i] = d[k / 4][k % 4];
    }
    for (int o = 0; o < out; o += group) {
        vec inner[2][2][8], block[4][8];
        UNROLL for (int c = 1; c <= 2; c++) {
            vec a[8] = {{0}}, b[8] = {{0}};
            weights = add_products(in, group, tile[1][c], tile[2][c], weights, a, b);
            UNROLL for (int g = 0; g < group; g++)
                inner[c - 1][0][g] = a[g] + b[g], inner[c - 1][1][g] = a[g] - b[g];
            weights = add_products(in, group, tile[0][c], tile[3][c], weights, inner[c - 1][0],
                                   inner[c - 1][1]);
        }
        UNROLL for (int r = 0; r < 2; r++)
            UNROLL for (int g = 0; g < group; g++) {
                block[2 * r][g] = inner[0][r][g] + inner[1][r][g];
                block[2 * r + 1][g] = inner[0][r][g] - inner[1][r][g];
            }
        UNROLL for (int c = 0; c <= 3; c += 3) {
            vec a[8] = {{0}}, b[8] = {{0}};
            weights = add_products(in, group, tile[1][c], tile[2][c], weights, a, b);
            UNROLL for (int g = 0; g < group; g++)
                block[c / 3][g] += a[g] + b[g], block[2 + c / 3][g] += a[g] - b[g];
            weights = add_products(in, group, tile[0][c], tile[3][c], weights, block[c / 3],
                                   block[2 + c / 3]);
        }
        UNROLL for (int g = 0; g < group; g++)
            UNROLL for (int q = 0; q < 4; q++)
                y[o + g][q] = prelu(block[q][g] + bias[o + g], same(slope[o + g]));
    }
}

/* One level on its way through P-Net. `lanes` is the length of a phase of a row. */
struct level {
    const struct pnet *net;
    const struct picture *picture;
    int index, height, width;
    int pooled_height, pooled_width;
    int lanes;
    int32_t *start, *end;  /* of the window of each column, in phases [4][lanes] */
    float *window_width;   /* the same */
    float *beyond;         /* added to right neighbours before pooling, [2][lanes] */
    uint16_t *columns;     /* scratch of sum_rows */
    pixel *prefix;
    int32_t *sums;
    float *pixels;         /* [RING][3][4][lanes] */
    float *pooled;         /* [RING][10][2][lanes] */
    float *middle;         /* [RING][16][2][lanes]: what the second convolution puts out */
};

static float *row_of(float *rows, int y, int planes, const struct level *level) {
    return rows + (size_t)(y % RING) * (size_t)(planes * level->lanes);
}

/* Row y of the resized picture. */
static void resize_row(const struct level *level, int y) {
    const struct picture *picture = level->picture;
    const int lanes = level->lanes;
    const int top = first_cell(y, picture->height, level->height);
    const int bottom = last_cell(y, picture->height, level->height);
    const float height = (float)(bottom - top);
    int32_t *restrict sums = level->sums;
    float *restrict pixels = row_of(level->pixels, y, 3 * 4, level);
    sum_rows(picture, top, bottom, 0, picture->width, level->columns, level->prefix);
    for (int i = 0; i < 4 * lanes; i++) {
        const pixel sum = level->prefix[level->end[i]] - level->prefix[level->start[i]];
        sums[i] = sum[0];
        sums[4 * lanes + i] = sum[1];
        sums[8 * lanes + i] = sum[2];
    }
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4 * lanes; i++)
            pixels[4 * lanes * c + i] =
                normalised((float)sums[4 * lanes * c + i] / height / level->window_width[i]);
}

/* Row y after the first convolution, PReLU and the 2 x 2 pooling, which counts a border that is
   cut in half as a whole one. */
static void pool_row(const struct level *level, int y) {
    const struct pnet *net = level->net;
    const ptrdiff_t lanes = level->lanes;
    const ptrdiff_t phases[2][4] = {{0, lanes, 2 * lanes, 3 * lanes},
                                    {2 * lanes, 3 * lanes, 1, lanes + 1}};
    const vec below = same(2 * y + 1 < level->height - 2 ? 0 : -INFINITY);
    float *pooled = row_of(level->pooled, y, 10 * 2, level);
    for (int x = 0; x < lanes - LANES; x += LANES) {
        const float *rows[4];
        for (int r = 0; r < 4; r++)
            rows[r] = row_of(level->pixels, 2 * y + r, 3 * 4, level) + x;
        for (int half = 0; half < 2; half++) {
            vec out[10][4];
            convolve(3, 10, 5, rows, phases[half], 4 * lanes, net->conv1, net->conv1_bias,
                     net->conv1_slope, out);
            const vec right = load(level->beyond + half * lanes + x);
            for (int o = 0; o < 10; o++) {
                const vec upper = maximum(out[o][0], out[o][1] + right);
                const vec lower = maximum(out[o][2], out[o][3] + right);
                store(pooled + (2 * o + half) * lanes + x, maximum(upper, lower + below));
            }
        }
    }
}

/* Rows y and y + 1 after the second convolution. */
static void middle_rows(const struct level *level, int y) {
    const struct pnet *net = level->net;
    const ptrdiff_t lanes = level->lanes, phase[4] = {0, lanes, 1, lanes + 1};
    for (int x = 0; x < lanes - LANES; x += LANES) {
        const float *rows[4];
        vec out[16][4];
        for (int r = 0; r < 4; r++)
            rows[r] = row_of(level->pooled, y + r, 10 * 2, level) + x;
        convolve(10, 16, 4, rows, phase, 2 * lanes, net->conv2, net->conv2_bias, net->conv2_slope,
                 out);
        for (int r = 0; r < 2; r++) {
            float *row = row_of(level->middle, y + r, 16 * 2, level) + x;
            for (int o = 0; o < 16; o++) {
                store(row + 2 * o * lanes, out[o][2 * r]);
                store(row + (2 * o + 1) * lanes, out[o][2 * r + 1]);
            }
        }
    }
}

/* The windows of rows y and y + 1 whose logit is high enough. */
static struct cell *find_cells(const struct level *level, int y, float logit, struct cell *cells) {
    const struct pnet *net = level->net;
    const ptrdiff_t lanes = level->lanes, phase[4] = {0, lanes, 1, lanes + 1};
    const int height = level->pooled_height - 4, width = level->pooled_width - 4;
    for (int x = 0; 2 * x < width; x += LANES) {
        const float *rows[4];
        vec out[32][4];
        for (int r = 0; r < 4; r++)
            rows[r] = row_of(level->middle, y + r, 16 * 2, level) + x;
        convolve(16, 32, 4, rows, phase, 2 * lanes, net->conv3, net->conv3_bias, net->conv3_slope,
                 out);
        vec face[4];
        UNROLL for (int q = 0; q < 4; q++) face[q] = same(net->face_bias);
        for (int o = 0; o < 32; o++)
            UNROLL for (int q = 0; q < 4; q++) face[q] += out[o][q] * net->face[o];
        for (int q = 0; q < 4; q++) {
            const lanemask passed = face[q] >= logit;
            const int row = y + q / 2;
            for (int lane = 0; lane < LANES; lane++) {
                const int column = 2 * (x + lane) + q % 2;
                if (!passed[lane] || row >= height || column >= width)
                    continue;
                *cells = (struct cell){level->index, row, column, face[q][lane], {0}};
                for (int i = 0; i < 4; i++) {
                    float offset = net->offsets_bias[i];
                    for (int o = 0; o < 32; o++)
                        offset += out[o][q][lane] * net->offsets[i][o];
                    cells->offsets[i] = offset;
                }
                cells++;
            }
        }
    }
    return cells;
}

/* Where each column's window begins and ends, times 3, in phases; and where it has no right
   neighbour to pool with. */
static void lay_columns(const struct level *level) {
    const int lanes = level->lanes, width = level->picture->width;
    for (int phase = 0; phase < 4; phase++)
        for (int x = 0; x < lanes; x++) {
            const int column = 4 * x + phase, i = phase * lanes + x;
            const int inside = column < level->width ? column : 0;
            const int start = first_cell(inside, width, level->width);
            const int end = last_cell(inside, width, level->width);
            level->start[i] = start;
            level->end[i] = end;
            level->window_width[i] = (float)(end - start);
        }
    for (int half = 0; half < 2; half++)
        for (int x = 0; x < lanes; x++)
            level->beyond[half * lanes + x] =
                2 * (2 * x + half) + 1 < level->width - 2 ? 0 : -INFINITY;
}

static struct cell *run_level(struct level *level, float logit, struct cell *cells) {
    int resized = 0, pooled = 0;
    lay_columns(level);
    for (int y = 0; y < level->pooled_height - 2; y += 2) {
        for (; pooled < y + 4 && pooled < level->pooled_height; pooled++) {
            for (; resized < 2 * pooled + 4 && resized < level->height; resized++)
                resize_row(level, resized);
            pool_row(level, pooled);
        }
        middle_rows(level, y);
        if (y >= 2)
            cells = find_cells(level, y - 2, logit, cells);
    }
    return cells;
}

/* Zeroed memory for `count` things of `size` bytes, at an address fit for vectors, cut from a
   block; with a null block, only counted. */
static void *cut(char *block, size_t *used, size_t count, size_t size) {
    void *piece = block ? block + *used : NULL;
    *used += (count * size + 63) / 64 * 64;
    return piece;
}

static size_t lay_out(struct level *level, char *block) {
    const size_t lanes = (size_t)level->lanes, width = (size_t)level->picture->width;
    size_t used = 0;
    level->start = cut(block, &used, 4 * lanes, sizeof(int32_t));
    level->end = cut(block, &used, 4 * lanes, sizeof(int32_t));
    level->window_width = cut(block, &used, 4 * lanes, sizeof(float));
    level->beyond = cut(block, &used, 2 * lanes, sizeof(float));
    level->columns = cut(block, &used, 3 * width + 8, sizeof(uint16_t));
    level->prefix = cut(block, &used, width + 1, sizeof(pixel));
    level->sums = cut(block, &used, 3 * 4 * lanes, sizeof(int32_t));
    level->pixels = cut(block, &used, RING * 3 * 4 * lanes, sizeof(float));
    level->pooled = cut(block, &used, RING * 10 * 2 * lanes, sizeof(float));
    level->middle = cut(block, &used, RING * 16 * 2 * lanes, sizeof(float));
    return used;
}

static int64_t propose(const struct pnet *net, const uint8_t *pixels, int32_t height,
                       int32_t width, int32_t levels, const int32_t *sizes, float logit,
                       struct cell *cells) {
    const struct picture picture = {pixels, height, width};
    struct cell *const first = cells;
    for (int32_t i = 0; i < levels; i++) {
        struct level level = {.net = net, .picture = &picture, .index = i};
        level.height = sizes[2 * i], level.width = sizes[2 * i + 1];
        level.pooled_height = (level.height - 1) / 2, level.pooled_width = (level.width - 1) / 2;
        /* Each convolution looks one lane further; loads may reach a vector beyond. */
        level.lanes = round_up((level.pooled_width - 3) / 2 + 2, LANES) + LANES;
        const size_t size = lay_out(&level, NULL);
        char *block = aligned_alloc(64, size);
        if (!block)
            return -1;
        __builtin_memset(block, 0, size);
        lay_out(&level, block);
        cells = run_level(&level, logit, cells);
        free(block);
    }
    return cells - first;
}

#endif
