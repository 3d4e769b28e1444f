// The product of states and a packed matrix, and what is done with its sums before they are stored: bias, activation,
// residual.
#pragma once

#include "functions.h"

namespace {

struct Plain {
  TARGET static __m512 apply(__m512 sums, const bf16*) { return sums; }
};

struct Gelu {
  TARGET static __m512 apply(__m512 sums, const bf16*) { return gelu(sums); }
};

struct Relu {
  TARGET static __m512 apply(__m512 sums, const bf16*) { return relu(sums); }
};

struct Residual {
  TARGET static __m512 apply(__m512 sums, const bf16* residual) { return _mm512_add_ps(sums, widen(residual)); }
};

// 32 rows of sums of 32 columns, and where they go.
template <class Finish>
struct Pending {
  const float* sums;
  const float* bias;
  const bf16* residual;
  bf16* to;

  TARGET void rows(int first, int last) const {
    const __m512 low_bias = _mm512_loadu_ps(bias), high_bias = _mm512_loadu_ps(bias + 16);
    for (int row = first; row < last; row++) {
      const float* from = sums + row * WIDE;
      const bf16* before = residual + row * WIDE;
      const __m512 low = Finish::apply(_mm512_add_ps(_mm512_load_ps(from), low_bias), before);
      const __m512 high = Finish::apply(_mm512_add_ps(_mm512_load_ps(from + 16), high_bias), before + 16);
      store(to + row * WIDE, low, high);
    }
  }
};

// Writes finish(from x matrix + bias) for `rows` rows, a multiple of 32. `sums` has memory for two blocks.
//
// The finish of one block is done in pieces between the steps of the next: the units for tiles and for vectors work at
// the same time.
template <class Products, class Finish>
TARGET inline void product(const States& from, int rows, const Matrix& matrix, const States& residual, const States& to,
                           float* sums) {
  const int steps = matrix.depth / WIDE;
  Pending<Finish> pending{};
  bool waits = false;
  int turn = 0;
  for (int number = 0; number < matrix.columns / WIDE; number++) {
    for (int row = 0; row < rows; row += 32) {
      float* here = sums + (turn ^= 1) * BLOCK;
      int done = waits ? 0 : 32;
      const auto between = [&](int step) TARGET {
        const int now = step * 32 / steps;
        if (done < now) pending.rows(done, now);
        done = done < now ? now : done;
      };
      Products::block(from.at(row, 0), from.panel, matrix.panel(number), steps, here, between);
      pending = {here, matrix.bias + number * WIDE, residual.at(row, number), to.at(row, number)};
      waits = true;
    }
  }
  if (waits) pending.rows(0, 32);
}

}  // namespace
