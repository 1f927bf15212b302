/* The kernel for one kind of processor: the build compiles this file once for each. */
#include "names.h"
#include "nets.h"
#include "pnet.h"

void OURS(suppress)(int32_t, const float *, const float *, const int32_t *, float, float, int32_t,
                    uint8_t *);
int32_t OURS(shrink)(const uint8_t *, int32_t, int32_t, int32_t, int32_t, uint8_t *);

const struct kernel OURS(kernel) = {TEXT(VARIANT), propose, refine, output, OURS(suppress),
                                    OURS(shrink)};
