// Approximations of 2^x and of the activations; docs/native.md has their errors.
#pragma once

#include "layout.h"

namespace {

// 2^x by a cubic polynomial on [0, 1] that minimises the largest relative error (7.5e-5); 0 below 2^-126.
TARGET inline __m512 exp2(__m512 x) {
  const __m512 rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 power = _mm512_fmadd_ps(rest, _mm512_set1_ps(0.0780241713f), _mm512_set1_ps(0.226067752f));
  power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.695833266f));
  power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.999925256f));
  return _mm512_scalef_ps(power, x);
}

// GELU: x times the share of the normal distribution below x, which is 1/2 and an odd polynomial that is 1/2 at 3.65.
// Its coefficients minimise the largest error of the product, 4.8e-4.
TARGET inline __m512 gelu(__m512 x) {
  const __m512 near = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(3.65f)), _mm512_set1_ps(-3.65f));
  const __m512 square = _mm512_mul_ps(near, near);
  __m512 rise = _mm512_fmadd_ps(square, _mm512_set1_ps(-4.9787144e-7f), _mm512_set1_ps(2.7185135e-5f));
  rise = _mm512_fmadd_ps(rise, square, _mm512_set1_ps(-6.21587795e-4f));
  rise = _mm512_fmadd_ps(rise, square, _mm512_set1_ps(0.00787386764f));
  rise = _mm512_fmadd_ps(rise, square, _mm512_set1_ps(-0.0626540035f));
  rise = _mm512_fmadd_ps(rise, square, _mm512_set1_ps(0.396530211f));
  return _mm512_mul_ps(x, _mm512_fmadd_ps(rise, near, _mm512_set1_ps(0.5f)));
}

TARGET inline __m512 relu(__m512 x) { return _mm512_max_ps(x, _mm512_setzero_ps()); }

}  // namespace
