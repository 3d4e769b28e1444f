// Embeddings, layer norms and poolings.
#pragma once

#include <cmath>

#include "layout.h"

namespace {

// Normalises `width` floats in place; those from `used` on are zeros, and stay zeros.
TARGET inline void normalise(float* row, const Model& model, const float* weight, const float* bias) {
  __m512 total = _mm512_setzero_ps();
  for (int column = 0; column < model.width; column += 16) total = _mm512_add_ps(total, _mm512_load_ps(row + column));
  const float mean = sum(total) / static_cast<float>(model.used);
  const __m512 means = _mm512_set1_ps(mean);
  __m512 squares = _mm512_setzero_ps();
  for (int column = 0; column < model.width; column += 16) {
    const __m512 centred = _mm512_sub_ps(_mm512_load_ps(row + column), means);
    squares = _mm512_fmadd_ps(centred, centred, squares);
  }
  const float filling = static_cast<float>(model.width - model.used) * mean * mean;
  const float variance = (sum(squares) - filling) / static_cast<float>(model.used);
  const __m512 scale = _mm512_set1_ps(1.f / std::sqrt((variance > 0 ? variance : 0) + model.epsilon));
  for (int column = 0; column < model.width; column += 16) {
    const __m512 scaled = _mm512_mul_ps(_mm512_sub_ps(_mm512_load_ps(row + column), means), scale);
    _mm512_store_ps(row + column,
                    _mm512_fmadd_ps(scaled, _mm512_loadu_ps(weight + column), _mm512_loadu_ps(bias + column)));
  }
}

TARGET inline void read_row(const States& from, int row, int width, float* to) {
  const bf16* numbers = from.at(row, 0);
  for (int column = 0; column < width; column += WIDE, numbers += from.panel) {
    _mm512_store_ps(to + column, widen(numbers));
    _mm512_store_ps(to + column + 16, widen(numbers + 16));
  }
}

TARGET inline void write_row(const float* from, const States& to, int row, int width) {
  bf16* numbers = to.at(row, 0);
  for (int column = 0; column < width; column += WIDE, numbers += to.panel)
    store(numbers, _mm512_load_ps(from + column), _mm512_load_ps(from + column + 16));
}

TARGET inline void normalise_all(const States& from, const States& to, int rows, const Model& model,
                                 const float* weight, const float* bias, float* row_of) {
  for (int row = 0; row < rows; row++) {
    read_row(from, row, model.width, row_of);
    normalise(row_of, model, weight, bias);
    write_row(row_of, to, row, model.width);
  }
}

// Writes the normalised sum of each token's embedding and that of its position.
TARGET inline void embed(const Model& model, const int32_t* ids, const int32_t* lengths, int64_t texts,
                         const States& to, float* row_of) {
  int row = 0;
  for (int64_t text = 0; text < texts; text++) {
    int counted = 0;
    for (int token = 0; token < lengths[text]; token++, row++) {
      const bool counts = ids[row] != model.padding;
      counted += counts;
      const float* word = model.words + static_cast<size_t>(ids[row]) * model.used;
      const float* position =
          model.positions + static_cast<size_t>(counts ? counted + model.padding : model.padding) * model.used;
      for (int column = 0; column < model.width; column += 16) {
        const int left = model.used - column;
        const __mmask16 there = left >= 16 ? 0xffff : left > 0 ? static_cast<__mmask16>((1u << left) - 1) : 0;
        const __m512 both =
            _mm512_add_ps(_mm512_maskz_loadu_ps(there, word + column), _mm512_maskz_loadu_ps(there, position + column));
        _mm512_store_ps(row_of + column, both);
      }
      normalise(row_of, model, model.norm_weight, model.norm_bias);
      write_row(row_of, to, row, model.width);
    }
  }
}

// Normalises the last hidden states of each text and pools them into one row of floats.
TARGET inline void pool(const Model& model, const States& from, const int32_t* lengths, int64_t texts,
                        const float* weight, const float* bias, float* pooled, float* row_of, float* total) {
  int row = 0;
  for (int64_t text = 0; text < texts; text++) {
    const int rows = model.pooling == POOLING_CLS ? 1 : lengths[text];
    for (int token = 0; token < rows; token++) {
      read_row(from, row + token, model.width, row_of);
      normalise(row_of, model, weight, bias);
      for (int column = 0; column < model.width; column += 16) {
        const __m512 here = _mm512_load_ps(row_of + column), before = _mm512_load_ps(total + column);
        const __m512 joined = model.pooling == POOLING_MAX ? _mm512_max_ps(before, here) : _mm512_add_ps(before, here);
        _mm512_store_ps(total + column, token ? joined : here);
      }
    }
    const float scale = model.pooling == POOLING_MEAN ? 1.f / static_cast<float>(rows) : 1.f;
    for (int column = 0; column < model.used; column++) pooled[text * model.used + column] = total[column] * scale;
    row += lengths[text];
  }
}

}  // namespace
