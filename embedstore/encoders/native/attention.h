// Attention of one text: softmax(Q K^T + distances) V, head by head, 16 queries at a time.
//
// The weights of the queries hold the factor log2(e) / sqrt(head) already, so that softmax is a power of two.
// Only the text's own rows take part: its vectors do not depend on the texts beside it, to the last bit.
#pragma once

#include "functions.h"

namespace {

// Memory for one head of the longest text.
struct Scratch {
  bf16 *keys, *values;  // as `Products` reads the second factor of a product
  float* scores[2];     // of 16 rows, 32 columns after 32: those that are read, and those of the next 16
  bf16* shares;         // of 16 rows, 32 columns after 32
  float* mixed;         // 16 rows of one panel
  float* totals;        // 16 times the sum of the shares of each of 16 rows
};

// Transposes 16 rows of 16 pairs.
TARGET inline void transpose(const bf16* from, bf16* to) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(from + i * WIDE);
  for (int i = 0; i < 8; i++) {
    b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++) {
    a[4 * i] = _mm512_unpacklo_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 1] = _mm512_unpackhi_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 2] = _mm512_unpacklo_epi64(b[4 * i + 1], b[4 * i + 3]);
    a[4 * i + 3] = _mm512_unpackhi_epi64(b[4 * i + 1], b[4 * i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
    b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
    b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
    b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; i++) {
    _mm512_store_si512(to + WIDE * i, _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88));
    _mm512_store_si512(to + WIDE * (i + 8), _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd));
    _mm512_store_si512(to + WIDE * (i + 4), _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88));
    _mm512_store_si512(to + WIDE * (i + 12), _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd));
  }
}

// Lays keys out as the columns of a product: for each 16 of them, the tiles of all panels of a head.
TARGET inline void lay_out_keys(const bf16* keys, size_t panel, int panels, int columns, bf16* to) {
  for (int column = 0; column < columns; column += TILE)
    for (int number = 0; number < panels; number++, to += PACKED_TILE)
      transpose(keys + column * WIDE + number * panel, to);
}

// Lays values out as the rows of a product: for each 32 of them, the two tiles of each panel of a head, whose lines
// hold pairs of rows. Rows from `used` on are of other texts and become zeros.
TARGET inline void lay_out_values(const bf16* values, size_t panel, int panels, int rows, int used, bf16* to) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                       5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  for (int row = 0; row < rows; row += 2) {
    for (int number = 0; number < panels; number++) {
      const bf16* from = values + row * WIDE + number * panel;
      const __m512i first = _mm512_maskz_loadu_epi16(row < used ? ~0u : 0u, from);
      const __m512i second = _mm512_maskz_loadu_epi16(row + 1 < used ? ~0u : 0u, from + WIDE);
      bf16* pair = to + (static_cast<size_t>(row / 32) * panels + number) * 2 * PACKED_TILE + row % 32 / 2 * WIDE;
      _mm512_store_si512(pair, _mm512_permutex2var_epi16(first, low, second));
      _mm512_store_si512(pair + PACKED_TILE, _mm512_permutex2var_epi16(first, high, second));
    }
  }
}

// The first `count` of 32.
inline uint32_t first_of_32(int count) { return count < 32 ? (1u << count) - 1 : ~0u; }

// The larger of two lanes, and of two quarters: half of the result is about each vector.
TARGET inline __m512 larger_lanes(__m512 a, __m512 b) {
  return _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
}

TARGET inline __m512 larger_quarters(__m512 a, __m512 b) {
  return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

// Writes the largest of the first `columns` scores of each of 16 rows.
TARGET inline void largest(const float* scores, int columns, float* most) {
  __m512 of[TILE];
  for (int row = 0; row < TILE; row++) of[row] = _mm512_set1_ps(-1e30f);
  for (; columns > 0; columns -= WIDE, scores += TILE * WIDE) {
    const uint32_t own = first_of_32(columns);
    const __mmask16 low = static_cast<__mmask16>(own), high = static_cast<__mmask16>(own >> 16);
#pragma GCC unroll 16
    for (int row = 0; row < TILE; row++) {
      of[row] = _mm512_mask_max_ps(of[row], low, of[row], _mm512_load_ps(scores + row * WIDE));
      of[row] = _mm512_mask_max_ps(of[row], high, of[row], _mm512_load_ps(scores + row * WIDE + 16));
    }
  }
  // Each step halves the vectors, and the lanes that belong to a row, until one vector has one lane of each.
  for (int i = 0; i < 8; i++) of[i] = larger_lanes(of[i / 2 * 4 + i % 2], of[i / 2 * 4 + i % 2 + 2]);
  for (int i = 0; i < 4; i++) of[i] = larger_lanes(of[2 * i], of[2 * i + 1]);
  _mm512_store_ps(most, larger_quarters(larger_quarters(of[0], of[1]), larger_quarters(of[2], of[3])));
}

// Turns 32 scores of some rows, the first `columns` of which count, into shares that are not divided by their sum yet.
TARGET inline void weigh(const float* scores, int rows, int columns, const float* most, bf16* shares) {
  const uint32_t own = first_of_32(columns);
  const __mmask16 first = static_cast<__mmask16>(own), second = static_cast<__mmask16>(own >> 16);
  for (int row = 0; row < rows; row++, scores += WIDE) {
    const __m512 top = _mm512_set1_ps(most[row]);
    const __m512 low = exp2(_mm512_sub_ps(_mm512_load_ps(scores), top));
    const __m512 high = second ? exp2(_mm512_sub_ps(_mm512_load_ps(scores + 16), top)) : low;
    store(shares + row * WIDE, _mm512_maskz_mov_ps(first, low), _mm512_maskz_mov_ps(second, high));
  }
}

// Adds to the scores of 16 rows what the model adds for the distances of tokens, the first of which is that of the
// first row.
TARGET inline void add_distances(float* scores, int columns, const float* distances) {
  for (int column = 0; column < columns; column += WIDE, distances += WIDE)
    for (int row = 0; row < TILE; row++, scores += WIDE) {
      const __m512 low = _mm512_loadu_ps(distances - row), high = _mm512_loadu_ps(distances - row + 16);
      _mm512_store_ps(scores, _mm512_add_ps(_mm512_load_ps(scores), low));
      _mm512_store_ps(scores + 16, _mm512_add_ps(_mm512_load_ps(scores + 16), high));
    }
}

// Attention of the text in rows [start, start + rows) of `states`: query, key and value of all heads, side by side.
//
// The scores of the next 16 queries are computed between the shares of these: the units for tiles and for vectors work
// at the same time.
template <class Products>
TARGET inline void attend(const Model& model, const States& states, int start, int rows, const States& to,
                          const Scratch& scratch) {
  const int panels = model.head / WIDE, columns = (rows + 31) / 32 * 32, all = model.heads * panels;
  for (int head = 0; head < model.heads; head++) {
    const bf16* query = states.at(start, head * panels);
    const bf16* value = states.at(start, 2 * all + head * panels);
    lay_out_keys(states.at(start, all + head * panels), states.panel, panels, columns, scratch.keys);
    lay_out_values(value, states.panel, panels, columns, rows, scratch.values);
    const auto score = [&](int first, int column) TARGET {
      Products::scores(query + static_cast<size_t>(first) * WIDE, states.panel,
                       scratch.keys + static_cast<size_t>(column) * panels * WIDE, panels,
                       scratch.scores[first / TILE % 2] + column * TILE);
    };
    for (int column = 0; column < columns; column += WIDE) score(0, column);
    for (int first = 0; first < rows; first += TILE) {
      const int here = rows - first < TILE ? rows - first : TILE;
      float* scores = scratch.scores[first / TILE % 2];
      alignas(64) float most[TILE];
      if (model.reach)
        add_distances(scores, columns, model.distances + static_cast<size_t>(2 * head + 1) * model.reach - first);
      largest(scores, rows, most);
      for (int column = 0; column < columns; column += WIDE) {
        if (first + TILE < rows) score(first + TILE, column);
        weigh(scores + column * TILE, here, rows - column, most, scratch.shares + column * TILE);
      }
      for (int number = 0; number < panels; number++) {
        Products::mix(scratch.shares, columns / WIDE, scratch.values + static_cast<size_t>(number) * 2 * PACKED_TILE,
                      panels, scratch.mixed, scratch.totals);
        for (int row = 0; row < here; row++) {
          const __m512 share = _mm512_set1_ps(1.f / scratch.totals[row * TILE]);
          const float* from = scratch.mixed + row * WIDE;
          store(to.at(start + first + row, head * panels + number), _mm512_mul_ps(_mm512_load_ps(from), share),
                _mm512_mul_ps(_mm512_load_ps(from + 16), share));
        }
      }
    }
  }
}

}  // namespace
