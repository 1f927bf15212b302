/* The variants that this processor can run, the fastest first. */
#include <stddef.h>

#include "kernel.h"

#define OFFER __attribute__((visibility("default")))

OFFER const char attrai_sources[] = SOURCES; /* their sha256, for a stale build to be seen */

OFFER const int64_t attrai_sizes[] = {sizeof(struct pnet), sizeof(struct rnet),
                                      sizeof(struct onet), sizeof(struct cell)};

#ifdef __x86_64__
extern const struct kernel kernel_v4, kernel_v3, kernel_v2;

/* x86-64-v4 and -v3 of the psABI. */
static int has_v3(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}

static int has_v4(void) {
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
}

static int has_v2(void) { return __builtin_cpu_supports("sse4.2"); }
#else
extern const struct kernel kernel_generic;
#endif

/* The i-th of them, or NULL. */
OFFER const struct kernel *attrai_kernel(int32_t i) {
#ifdef __x86_64__
    const struct {
        int here;
        const struct kernel *kernel;
    } variants[] = {{has_v4(), &kernel_v4}, {has_v3(), &kernel_v3}, {has_v2(), &kernel_v2}};
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
        if (variants[v].here && i-- == 0)
            return variants[v].kernel;
    return NULL;
#else
    return i == 0 ? &kernel_generic : NULL;
#endif
}
