// How hidden states lie in memory, and the vectors of 16 floats that all kernels compute with.
//
// A tile is 16 rows of 32 columns: 64 bytes a row, 1 KB in one run, so that it is loaded without a stride. States are
// kept in panels of 32 columns. Two orders of these panels are used, told apart by their strides alone:
//
//   blocks  [row / 32][panel][row % 32][32]   a product reads 32 rows of all columns in one run
//   strips  [panel][row][32]                  attention reads any 16 rows of a head in one run
//
// Included by one file for each kernel, which defines TARGET: the instruction set of every function here.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace {

constexpr int WIDE = 32;                  // columns of a panel
constexpr int TILE = 16;                  // rows of a tile
constexpr int BLOCK = 32 * WIDE;          // numbers in 32 rows of a panel
constexpr int PACKED_TILE = TILE * WIDE;  // numbers in a tile
constexpr int TWO_ONES = 0x3f803f80;      // two ones in bf16, side by side

struct States {
  bf16* first;
  size_t panel, block;  // numbers from one panel, and from one block of 32 rows, to the next

  bf16* at(int row, int number) const {
    return first + panel * number + block * (row / 32) + static_cast<size_t>(row % 32) * WIDE;
  }

  // The states from a row on that is a multiple of 32.
  States from(int row) const { return {first + block * (row / 32), panel, block}; }
};

// A packed matrix (columns, depth) and its bias, or a part of one: for each 32 columns, for each 32 of the depth, two
// tiles whose lines hold pairs of the depth for 16 columns.
struct Matrix {
  const bf16* packed;
  int columns, depth;
  const float* bias;
  size_t next;  // numbers from 32 columns to the next 32

  Matrix(const bf16* packed, int columns, int depth, const float* bias)
      : packed(packed), columns(columns), depth(depth), bias(bias), next(static_cast<size_t>(WIDE) * depth) {}

  const bf16* panel(int number) const { return packed + next * number; }

  Matrix columns_from(int first, int count) const {
    Matrix part = *this;
    part.packed = panel(first / WIDE);
    part.bias = bias + first;
    part.columns = count;
    return part;
  }

  Matrix depth_from(int first, int count) const {
    Matrix part = *this;
    part.packed = packed + static_cast<size_t>(WIDE) * first;
    part.depth = count;
    return part;
  }
};

TARGET inline __m512 widen(const bf16* numbers) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

// Rounds 32 numbers to the nearest bf16, ties to even.
TARGET inline void store(bf16* to, __m512 low, __m512 high) {
  _mm512_storeu_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

TARGET inline float sum(__m512 numbers) { return _mm512_reduce_add_ps(numbers); }

}  // namespace
