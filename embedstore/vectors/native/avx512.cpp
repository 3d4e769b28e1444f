// The kernel for processors with AVX-512: 16 numbers in a register, and 32 registers.
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f")))

#include "kernel.h"

namespace {

using Lanes = __m512;
constexpr int LANES = 16, ROWS = 4, LABELS = 5;

TARGET inline Lanes load(const float* numbers) { return _mm512_loadu_ps(numbers); }

TARGET inline Lanes load(const uint16_t* numbers) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers)));
}

TARGET inline Lanes plus_product(Lanes sums, Lanes left, Lanes right) { return _mm512_fmadd_ps(left, right, sums); }

TARGET inline Lanes zeros() { return _mm512_setzero_ps(); }

TARGET inline float sum(Lanes numbers) { return _mm512_reduce_add_ps(numbers); }

}  // namespace

#include "fold.h"

extern const Scans avx512_scans = {scan_all, scan_those};
#endif
