// The kernel for processors with AMX: products of tiles of 16 x 32 numbers.
#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))

#include "kernel.h"
#include "walk.h"

namespace {

struct Tiles {
  // Eight tiles of 16 lines of 64 bytes; the layout is Intel's (LDTILECFG).
  TARGET static void configure() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shapes;
    _tile_loadconfig(&shapes);
  }

  // sums (32, 32) = 32 rows x a packed matrix; `between` is called after each step.
  template <class Between>
  TARGET static inline void block(const bf16* rows, size_t panel, const bf16* packed, int steps, float* sums,
                                  Between between) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int step = 0; step < steps; step++, rows += panel, packed += 2 * PACKED_TILE) {
      _tile_loadd(6, packed, 64);
      _tile_loadd(4, rows, 64);
      _tile_loadd(7, packed + PACKED_TILE, 64);
      _tile_loadd(5, rows + PACKED_TILE, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      between(step + 1);
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 512, 128);
    _tile_stored(3, sums + 528, 128);
  }

  // scores (16, columns) = 16 queries x keys.
  TARGET static inline void scores(const bf16* query, size_t panel, const bf16* keys, int panels, int columns,
                                   float* scores) {
    for (int column = 0; column < columns; column += 32) {
      _tile_zero(0);
      _tile_zero(1);
      const bf16 *low = keys + static_cast<size_t>(column) * panels * WIDE, *high = low + panels * PACKED_TILE;
      for (int number = 0; number < panels; number++) {
        _tile_loadd(4, query + number * panel, 64);
        _tile_loadd(6, low + number * PACKED_TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, high + number * PACKED_TILE, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
      _tile_stored(0, scores + column, columns * 4);
      _tile_stored(1, scores + column + 16, columns * 4);
    }
  }

  // mixed (16, 32) = 16 rows of shares x one panel of the values of a head that has `panels`.
  TARGET static inline void mix(const bf16* shares, int columns, const bf16* values, int panels, float* mixed) {
    _tile_zero(2);
    _tile_zero(3);
    for (int column = 0; column < columns; column += 32, values += static_cast<size_t>(panels) * 2 * PACKED_TILE) {
      _tile_loadd(4, shares + column, columns * 2);
      _tile_loadd(6, values, 64);
      _tile_loadd(7, values + PACKED_TILE, 64);
      _tile_dpbf16ps(2, 4, 6);
      _tile_dpbf16ps(3, 4, 7);
    }
    _tile_stored(2, mixed, 128);
    _tile_stored(3, mixed + 16, 128);
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
