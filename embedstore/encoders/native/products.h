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

  TARGET void finish(int row) const {
    const float* from = sums + row * WIDE;
    const bf16* before = residual + row * WIDE;
    const __m512 low = _mm512_add_ps(_mm512_load_ps(from), _mm512_loadu_ps(bias));
    const __m512 high = _mm512_add_ps(_mm512_load_ps(from + 16), _mm512_loadu_ps(bias + 16));
    store(to + row * WIDE, Finish::apply(low, before), Finish::apply(high, before + 16));
  }
};

// Memory that is read soon, and asked for a few lines at a time: products wait for what is in no cache of the core.
template <_mm_hint NEAR>
struct Ahead {
  const char *next, *end;

  Ahead(const void* first, size_t bytes) : next(static_cast<const char*>(first)), end(next + bytes) {}

  TARGET void ask(int lines) {
    for (; lines > 0 && next < end; lines--, next += 64) _mm_prefetch(next, NEAR);
  }
};

constexpr int GAPS = 3;  // between the four products of tiles of a step

// Which part of its depth a product is about. The sums of the first parts are kept for the next.
enum class Part { WHOLE, FIRST, MIDDLE, LAST };

// Writes finish(from x matrix + bias) for `rows` rows, a multiple of 32, or only adds a part of it to `sums`, which has
// memory for all of them then, else for two blocks.
//
// A block is finished row by row, a row between two products of tiles of the next block: the units for tiles and for
// vectors work at the same time. There, too, the next 32 columns of the matrix are asked for.
template <class Products, class Finish>
TARGET inline void product(const States& from, int rows, const Matrix& matrix, const States& residual, const States& to,
                           float* sums, Part part = Part::WHOLE) {
  const bool more = part == Part::MIDDLE || part == Part::LAST, last = part == Part::WHOLE || part == Part::LAST;
  const int steps = matrix.depth / WIDE;
  const int lines = 32 * WIDE / (GAPS * rows) + 1, lines_of_sums = 64 / (GAPS * steps) + 1;
  Pending<Finish> pending{};
  bool waits = false;
  int turn = 0;
  for (int number = 0; number < matrix.columns / WIDE; number++) {
    Ahead<_MM_HINT_T1> weights(matrix.panel(number + 1), sizeof(bf16) * WIDE * matrix.depth);
    for (int row = 0; row < rows; row += 32) {
      float* here = sums + static_cast<size_t>(BLOCK) * (part == Part::WHOLE ? turn ^= 1 : turn++);
      Ahead<_MM_HINT_T0> next_sums(here + BLOCK, more ? sizeof(float) * BLOCK : 0);
      int next = waits ? 0 : 32;
      const auto between = [&]() TARGET {
        weights.ask(lines);
        next_sums.ask(lines_of_sums);
        if (next < 32) pending.finish(next++);
      };
      Products::block(from.at(row, 0), from.panel, matrix.panel(number), steps, more, here, between);
      while (next < 32) pending.finish(next++);
      pending = {here, matrix.bias + number * WIDE, residual.at(row, number), to.at(row, number)};
      waits = last;
    }
  }
  for (int row = 0; row < 32 && waits; row++) pending.finish(row);
}

}  // namespace
