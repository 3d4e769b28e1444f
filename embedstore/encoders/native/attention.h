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
  float* scores;        // 16 rows
  bf16* shares;         // 16 rows
  float* mixed;         // 16 rows of one panel
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

// Turns a row of scores into shares that are not divided by their sum yet; returns the sum.
TARGET inline float softmax(float* scores, int columns, int used, const float* distances, bf16* shares) {
  const int last = columns - 32;
  const uint32_t there = used - last == 32 ? ~0u : (1u << (used - last)) - 1;
  const __mmask16 low = static_cast<__mmask16>(there), high = static_cast<__mmask16>(there >> 16);
  const __m512 least = _mm512_set1_ps(-1e30f);
  if (distances)
    for (int column = 0; column < columns; column += 16)
      _mm512_store_ps(scores + column,
                      _mm512_add_ps(_mm512_load_ps(scores + column), _mm512_loadu_ps(distances + column)));
  _mm512_store_ps(scores + last, _mm512_mask_mov_ps(least, low, _mm512_load_ps(scores + last)));
  _mm512_store_ps(scores + last + 16, _mm512_mask_mov_ps(least, high, _mm512_load_ps(scores + last + 16)));
  __m512 most = _mm512_load_ps(scores), other = _mm512_load_ps(scores + 16);
  for (int column = 32; column < columns; column += 32) {
    most = _mm512_max_ps(most, _mm512_load_ps(scores + column));
    other = _mm512_max_ps(other, _mm512_load_ps(scores + column + 16));
  }
  most = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(most, other)));
  __m512 total = _mm512_setzero_ps(), second = total;
  for (int column = 0; column < last; column += 32) {
    const __m512 a = exp2(_mm512_sub_ps(_mm512_load_ps(scores + column), most));
    const __m512 b = exp2(_mm512_sub_ps(_mm512_load_ps(scores + column + 16), most));
    total = _mm512_add_ps(total, a);
    second = _mm512_add_ps(second, b);
    store(shares + column, a, b);
  }
  const __m512 a = _mm512_maskz_mov_ps(low, exp2(_mm512_sub_ps(_mm512_load_ps(scores + last), most)));
  const __m512 b = _mm512_maskz_mov_ps(high, exp2(_mm512_sub_ps(_mm512_load_ps(scores + last + 16), most)));
  store(shares + last, a, b);
  return sum(_mm512_add_ps(_mm512_add_ps(total, a), _mm512_add_ps(second, b)));
}

// Attention of the text in rows [start, start + rows) of `states`: query, key and value of all heads, side by side.
template <class Products>
TARGET inline void attend(const Model& model, const States& states, int start, int rows, const States& to,
                          const Scratch& scratch) {
  const int panels = model.head / WIDE, columns = (rows + 31) / 32 * 32, all = model.heads * panels;
  for (int head = 0; head < model.heads; head++) {
    const bf16* query = states.at(start, head * panels);
    const bf16* value = states.at(start, 2 * all + head * panels);
    lay_out_keys(states.at(start, all + head * panels), states.panel, panels, columns, scratch.keys);
    lay_out_values(value, states.panel, panels, columns, rows, scratch.values);
    for (int first = 0; first < rows; first += TILE) {
      const int here = rows - first < TILE ? rows - first : TILE;
      Products::scores(query + static_cast<size_t>(first) * WIDE, states.panel, scratch.keys, panels, columns,
                       scratch.scores);
      float scale[TILE];
      for (int row = 0; row < here; row++) {
        const float* distances =
            model.reach ? model.distances + static_cast<size_t>(2 * head + 1) * model.reach - (first + row) : nullptr;
        const size_t line = static_cast<size_t>(row) * columns;
        scale[row] = 1.f / softmax(scratch.scores + line, columns, rows, distances, scratch.shares + line);
      }
      for (int number = 0; number < panels; number++) {
        Products::mix(scratch.shares, columns, scratch.values + static_cast<size_t>(number) * 2 * PACKED_TILE, panels,
                      scratch.mixed);
        for (int row = 0; row < here; row++) {
          const __m512 share = _mm512_set1_ps(scale[row]);
          const float* from = scratch.mixed + row * WIDE;
          store(to.at(start + first + row, head * panels + number), _mm512_mul_ps(_mm512_load_ps(from), share),
                _mm512_mul_ps(_mm512_load_ps(from + 16), share));
        }
      }
    }
  }
}

}  // namespace
