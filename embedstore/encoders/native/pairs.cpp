// The kernel for processors with AVX512-BF16: each instruction adds the products of 16 pairs of numbers.
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

#include "kernel.h"
#include "walk.h"

namespace {

// ROWS rows of sums of 32 columns stay in registers for all steps.
constexpr int ROWS = 8;

TARGET inline __m512bh pairs_at(const bf16* numbers) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(numbers)); }

// The same pair for all 16 columns.
TARGET inline __m512bh spread(const bf16* pair) {
  int32_t both;
  std::memcpy(&both, pair, sizeof both);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
}

// sums (ROWS, 32) = rows x tiles: `line` numbers from one row to the next, `panel` from one 32 of the depth to the
// next, and `step` from two tiles to the next two.
TARGET inline void multiply(const bf16* rows, size_t line, size_t panel, const bf16* low, const bf16* high, size_t step,
                            int steps, float* sums, size_t sums_line) {
  __m512 left[ROWS], right[ROWS];
  for (int row = 0; row < ROWS; row++) left[row] = right[row] = _mm512_setzero_ps();
  for (int number = 0; number < steps; number++, rows += panel, low += step, high += step) {
    for (int pair = 0; pair < TILE; pair++) {
      const __m512bh a = pairs_at(low + pair * WIDE), b = pairs_at(high + pair * WIDE);
#pragma GCC unroll 8
      for (int row = 0; row < ROWS; row++) {
        const __m512bh here = spread(rows + row * line + 2 * pair);
        left[row] = _mm512_dpbf16_ps(left[row], here, a);
        right[row] = _mm512_dpbf16_ps(right[row], here, b);
      }
    }
  }
  for (int row = 0; row < ROWS; row++) {
    _mm512_store_ps(sums + row * sums_line, left[row]);
    _mm512_store_ps(sums + row * sums_line + 16, right[row]);
  }
}

struct Pairs {
  template <class Between>
  TARGET static inline void block(const bf16* rows, size_t panel, const bf16* packed, int steps, float* sums,
                                  Between between) {
    for (int row = 0; row < 32; row += ROWS)
      multiply(rows + row * WIDE, WIDE, panel, packed, packed + PACKED_TILE, 2 * PACKED_TILE, steps, sums + row * WIDE,
               WIDE);
    between(steps);
  }

  TARGET static inline void scores(const bf16* query, size_t panel, const bf16* keys, int panels, int columns,
                                   float* scores) {
    for (int column = 0; column < columns; column += 32) {
      const bf16 *low = keys + static_cast<size_t>(column) * panels * WIDE, *high = low + panels * PACKED_TILE;
      for (int row = 0; row < TILE; row += ROWS)
        multiply(query + row * WIDE, WIDE, panel, low, high, PACKED_TILE, panels, scores + column + row * columns,
                 columns);
    }
  }

  TARGET static inline void mix(const bf16* shares, int columns, const bf16* values, int panels, float* mixed) {
    const size_t step = static_cast<size_t>(panels) * 2 * PACKED_TILE;
    for (int row = 0; row < TILE; row += ROWS)
      multiply(shares + static_cast<size_t>(row) * columns, columns, WIDE, values, values + PACKED_TILE, step,
               columns / 32, mixed + row * WIDE, WIDE);
  }
};

TARGET void walk_with_pairs(const Model& model, const int32_t* ids, const int32_t* lengths, int64_t texts, int tokens,
                            int longest, float* pooled, void* memory) {
  walk<Pairs>(model, ids, lengths, texts, tokens, longest, pooled, memory);
}

}  // namespace

extern const Walk pairs_walk = walk_with_pairs;

int64_t workspace_of(const Model& model, int tokens, int longest) {
  return static_cast<int64_t>(Workspace(model, tokens, longest, nullptr).bytes);
}
#endif
