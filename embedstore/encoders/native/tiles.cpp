// The kernel for processors with AMX: products of tiles of 16 x 32 numbers.
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))

#include "kernel.h"
#include "walk.h"

namespace {

struct Tiles {
  // Eight tiles of 16 lines of 64 bytes; the layout is Intel's (LDTILECFG).
  struct alignas(64) Shapes {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t lines[16];
  };

  TARGET static void configure() {
    // Not on the stack: GCC knows of the first 8 bytes only that they are read.
    static const Shapes shapes{1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shapes);
  }

  // sums (32, 32) = 32 rows x a packed matrix, or what they are already `more` that; `between` is called in each gap.
  // The rows pass by once and the matrix stays: hence the other load, which leaves it in the nearest cache.
  template <class Between>
  TARGET static inline void block(const bf16* rows, size_t panel, const bf16* packed, int steps, bool more, float* sums,
                                  Between between) {
    if (more) {
      _tile_loadd(0, sums, 128);
      _tile_loadd(1, sums + 16, 128);
      _tile_loadd(2, sums + 512, 128);
      _tile_loadd(3, sums + 528, 128);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int step = 0; step < steps; step++, rows += panel, packed += 2 * PACKED_TILE) {
      _tile_loadd(6, packed, 64);
      _tile_stream_loadd(4, rows, 64);
      _tile_loadd(7, packed + PACKED_TILE, 64);
      _tile_stream_loadd(5, rows + PACKED_TILE, 64);
      _tile_dpbf16ps(0, 4, 6);
      between();
      _tile_dpbf16ps(1, 4, 7);
      between();
      _tile_dpbf16ps(2, 5, 6);
      between();
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 512, 128);
    _tile_stored(3, sums + 528, 128);
  }

  // scores (16, 32) = 16 queries x 32 keys.
  TARGET static inline void scores(const bf16* query, size_t panel, const bf16* keys, int panels, float* scores) {
    _tile_zero(0);
    _tile_zero(1);
    for (int number = 0; number < panels; number++, query += panel, keys += PACKED_TILE) {
      _tile_loadd(4, query, 64);
      _tile_loadd(6, keys, 64);
      _tile_loadd(7, keys + panels * PACKED_TILE, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, scores, 128);
    _tile_stored(1, scores + 16, 128);
  }

  // mixed (16, 32) = 16 rows of shares x one panel of the values of a head that has `panels`; totals (16, 16): the sum
  // of each row's shares, 16 times.
  TARGET static inline void mix(const bf16* shares, int steps, const bf16* values, int panels, float* mixed,
                                float* totals) {
    alignas(64) static const uint32_t ones[16] = {TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES,
                                                  TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES,
                                                  TWO_ONES, TWO_ONES, TWO_ONES, TWO_ONES};
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(0);
    _tile_loadd(1, ones, 0);  // the same line 16 times
    for (int step = 0; step < steps; step++, shares += PACKED_TILE, values += panels * 2 * PACKED_TILE) {
      _tile_loadd(5, shares, 64);
      _tile_loadd(6, values, 64);
      _tile_loadd(7, values + PACKED_TILE, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      _tile_dpbf16ps(0, 5, 1);
    }
    _tile_stored(2, mixed, 128);
    _tile_stored(3, mixed + 16, 128);
    _tile_stored(0, totals, 64);
  }
};

TARGET void walk_with_tiles(const Model& model, const int32_t* ids, const int32_t* lengths, int64_t texts, int tokens,
                            int longest, float* pooled, void* memory) {
  Tiles::configure();
  walk<Tiles>(model, ids, lengths, texts, tokens, longest, pooled, memory);
  _tile_release();
}

}  // namespace

extern const Walk tiles_walk = walk_with_tiles;
#endif
