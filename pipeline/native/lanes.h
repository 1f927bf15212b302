/* Vectors of LANES floats, in GCC's and Clang's vector extensions: one source for every
   processor. LANES, and the suffix of the variant's names, come from the build. */
#ifndef ATTRAI_LANES_H
#define ATTRAI_LANES_H

#include <stddef.h>
#include <stdint.h>

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t lanemask __attribute__((vector_size(4 * LANES)));
/* The same, at any address of a float. */
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* Whoever is called with constants becomes code for these constants. */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")

INLINE vec load(const float *from) { return *(const loose *)from; }

INLINE void store(float *to, vec value) { *(loose *)to = value; }

INLINE vec choose(lanemask which, vec yes, vec no) {
    return (vec)((which & (lanemask)yes) | (~which & (lanemask)no));
}

INLINE vec maximum(vec a, vec b) { return choose(a > b, a, b); }

/* He et al., "Delving Deep into Rectifiers", ICCV 2015. */
INLINE vec prelu(vec x, vec slope) { return choose(x > 0, x, x * slope); }

INLINE vec same(float value) { return value - (vec){0}; }

INLINE int round_up(int count, int step) { return (count + step - 1) / step * step; }

#endif
