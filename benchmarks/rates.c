/* Products and sums in float32 that a core does in a second, at best: 16 chains of them, so that
   none waits for another. */
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float vec __attribute__((vector_size(BYTES)));

double products_a_second(void) {
    vec chain[16];
    for (int i = 0; i < 16; i++)
        chain[i] = (vec){0} + (float)i;
    const vec factor = (vec){0} + 0.999f, term = (vec){0} + 0.001f;
    const long rounds = 2000000;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            chain[i] = chain[i] * factor + term;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    volatile float used = 0; /* or all of it might be left out */
    for (int i = 0; i < 16; i++)
        used += chain[i][0];
    const double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    return (double)rounds * 16 * (BYTES / 4) / seconds;
}
