// Approximations of 2^x and of the activations; docs/native.md has their errors.
#pragma once

#include "layout.h"

namespace {

// 2^x by a cubic polynomial on [-1/2, 1/2] that minimises the largest relative error (7.5e-5), for x >= -120.
TARGET inline __m512 exp2(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-120.f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest = _mm512_sub_ps(x, whole);
  __m512 power = _mm512_fmadd_ps(rest, _mm512_set1_ps(0.05517142f), _mm512_set1_ps(0.24261117f));
  power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.69326103f));
  power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.99992806f));
  return _mm512_scalef_ps(power, whole);
}

// GELU in its tanh form (Hendrycks and Gimpel, 2016): x / (1 + 2^-y), y = 2 log2(e) sqrt(2 / pi) (x + 0.044715 x^3).
TARGET inline __m512 gelu(__m512 x) {
  const __m512 cubic = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.10294324f), _mm512_set1_ps(-2.3022082f));
  const __m512 power = exp2(_mm512_min_ps(_mm512_mul_ps(cubic, x), _mm512_set1_ps(100.f)));
  return _mm512_mul_ps(x, _mm512_rcp14_ps(_mm512_add_ps(power, _mm512_set1_ps(1.f))));
}

TARGET inline __m512 relu(__m512 x) { return _mm512_max_ps(x, _mm512_setzero_ps()); }

}  // namespace
