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

// sums (ROWS, 32) = rows x tiles, or what they are already `more` that: `panel` numbers from one 32 of the depth to the
// next, and `step` from two tiles to the next two.
TARGET inline void multiply(const bf16* rows, size_t panel, const bf16* low, const bf16* high, size_t step, int steps,
                            bool more, float* sums) {
  __m512 left[ROWS], right[ROWS];
  for (int row = 0; row < ROWS; row++) {
    left[row] = more ? _mm512_load_ps(sums + row * WIDE) : _mm512_setzero_ps();
    right[row] = more ? _mm512_load_ps(sums + row * WIDE + 16) : _mm512_setzero_ps();
  }
  for (int number = 0; number < steps; number++, rows += panel, low += step, high += step) {
    for (int pair = 0; pair < TILE; pair++) {
      const __m512bh a = pairs_at(low + pair * WIDE), b = pairs_at(high + pair * WIDE);
#pragma GCC unroll 8
      for (int row = 0; row < ROWS; row++) {
        const __m512bh here = spread(rows + row * WIDE + 2 * pair);
        left[row] = _mm512_dpbf16_ps(left[row], here, a);
        right[row] = _mm512_dpbf16_ps(right[row], here, b);
      }
    }
  }
  for (int row = 0; row < ROWS; row++) {
    _mm512_store_ps(sums + row * WIDE, left[row]);
    _mm512_store_ps(sums + row * WIDE + 16, right[row]);
  }
}

struct Pairs {
  // There are no gaps: products and all else are done by the same unit.
  template <class Between>
  TARGET static inline void block(const bf16* rows, size_t panel, const bf16* packed, int steps, bool more, float* sums,
                                  Between) {
    for (int row = 0; row < 32; row += ROWS)
      multiply(rows + row * WIDE, panel, packed, packed + PACKED_TILE, 2 * PACKED_TILE, steps, more, sums + row * WIDE);
  }

  TARGET static inline void scores(const bf16* query, size_t panel, const bf16* keys, int panels, float* scores) {
    for (int row = 0; row < TILE; row += ROWS)
      multiply(query + row * WIDE, panel, keys, keys + panels * PACKED_TILE, PACKED_TILE, panels, false,
               scores + row * WIDE);
  }

  TARGET static inline void mix(const bf16* shares, int steps, const bf16* values, int panels, float* mixed,
                                float* totals) {
    const size_t step = static_cast<size_t>(panels) * 2 * PACKED_TILE;
    for (int row = 0; row < TILE; row += ROWS)
      multiply(shares + row * WIDE, PACKED_TILE, values, values + PACKED_TILE, step, steps, false, mixed + row * WIDE);
    const __m512bh ones = reinterpret_cast<__m512bh>(_mm512_set1_epi32(TWO_ONES));
    for (int row = 0; row < TILE; row++, shares += WIDE) {
      __m512 total = _mm512_setzero_ps();
      for (int number = 0; number < steps; number++)
        total = _mm512_dpbf16_ps(total, pairs_at(shares + number * PACKED_TILE), ones);
      _mm512_store_ps(totals + row * TILE, _mm512_set1_ps(sum(total)));
    }
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
