// The kernel for processors with AVX2, FMA and F16C: 8 numbers in a register, and 16 registers.
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx2,fma,f16c")))

#include "kernel.h"

namespace {

using Lanes = __m256;
constexpr int LANES = 8, ROWS = 2, LABELS = 5;

TARGET inline Lanes load(const float* numbers) { return _mm256_loadu_ps(numbers); }

TARGET inline Lanes load(const uint16_t* numbers) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers)));
}

TARGET inline Lanes plus_product(Lanes sums, Lanes left, Lanes right) { return _mm256_fmadd_ps(left, right, sums); }

TARGET inline Lanes zeros() { return _mm256_setzero_ps(); }

TARGET inline float sum(Lanes numbers) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(numbers), _mm256_extractf128_ps(numbers, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

}  // namespace

#include "fold.h"

extern const Scans avx2_scans = {scan_all, scan_those};
#endif
