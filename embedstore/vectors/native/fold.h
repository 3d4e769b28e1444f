// The scan of a kernel that has defined Lanes, LANES, ROWS, LABELS, load, plus_product, zeros and sum.
//
// The sums of ROWS vectors and LABELS labels stay in registers. A score is added up in the same order whatever vectors
// and labels are beside it, so equal vectors have equal scores.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "scan.h"

namespace {

constexpr int AHEAD = 2;  // groups of rows that are fetched from memory before their turn

// The first `left` numbers, and zeros.
template <class Number>
TARGET inline Lanes load_first(const Number* numbers, int64_t left) {
  if (left >= LANES) return load(numbers);
  Number some[LANES] = {};
  std::memcpy(some, numbers, left * sizeof(Number));
  return load(some);
}

// scores (R, L), `line` numbers from one row to the next = R vectors x L labels. What is `ahead` of the vectors is
// fetched meanwhile.
template <int R, int L, class Number>
TARGET inline void multiply(const Number* const (&vectors)[R], int64_t ahead, const float* labels, int64_t width,
                            float* scores, int64_t line) {
  Lanes sums[R][L];
  for (int row = 0; row < R; row++)
    for (int label = 0; label < L; label++) sums[row][label] = zeros();
  for (int64_t column = 0; column < width; column += LANES) {
    const int64_t left = width - column;
    Lanes numbers[R];
#pragma GCC unroll 4
    for (int row = 0; row < R; row++) {
      numbers[row] = load_first(vectors[row] + column, left);
      __builtin_prefetch(vectors[row] + column + ahead);
    }
#pragma GCC unroll 5
    for (int label = 0; label < L; label++) {
      const Lanes weights = load_first(labels + label * width + column, left);
#pragma GCC unroll 4
      for (int row = 0; row < R; row++) sums[row][label] = plus_product(sums[row][label], numbers[row], weights);
    }
  }
  for (int row = 0; row < R; row++)
    for (int label = 0; label < L; label++) scores[row * line + label] = sum(sums[row][label]);
}

template <class Number>
TARGET inline float length(const Number* vector, int64_t width) {
  Lanes squares = zeros();
  for (int64_t column = 0; column < width; column += LANES) {
    const Lanes numbers = load_first(vector + column, width - column);
    squares = plus_product(squares, numbers, numbers);
  }
  return std::sqrt(sum(squares));
}

// Writes the scores (R, count) of R vectors, one after the other.
template <int R, class Number>
TARGET inline void compare(const Compared& given, const Number* vectors, float* scores) {
  const int64_t width = given.width, count = given.count, ahead = AHEAD * R * width;
  const Number* rows[R];
  for (int row = 0; row < R; row++) rows[row] = vectors + row * width;
  int64_t label = 0;
  for (; label + LABELS <= count; label += LABELS)
    multiply<R, LABELS>(rows, ahead, given.labels + label * width, width, scores + label, count);
  for (; label + 2 <= count; label += 2)
    multiply<R, 2>(rows, ahead, given.labels + label * width, width, scores + label, count);
  if (label < count) multiply<R, 1>(rows, ahead, given.labels + label * width, width, scores + label, count);
  for (int row = 0; row < R && !given.unit; row++)
    if (const float norm = length(rows[row], width); norm > 0)
      for (int64_t score = row * count; score < (row + 1) * count; score++) scores[score] /= norm;
}

// Writes the best of the scores of one vector.
TARGET inline void keep_best(const float* scores, int64_t count, int64_t row, const Found& found) {
  int32_t best = scores[1] > scores[0];
  float first = std::max(scores[0], scores[1]), second = std::min(scores[0], scores[1]);
  for (int32_t label = 2; label < count; label++) {
    second = std::max(second, std::min(first, scores[label]));
    best = scores[label] > first ? label : best;
    first = std::max(first, scores[label]);
  }
  found.label[row] = best;
  if (found.score) found.score[row] = first;
  if (found.lead) found.lead[row] = first - second;
}

template <class Number>
TARGET void scan_numbers(const Compared& given, const Found& found) {
  const auto* vectors = static_cast<const Number*>(given.vectors);
  float kept[ROWS * MOST_LABELS];
  for (int64_t row = 0; row < given.rows;) {
    float* scores = found.scores ? found.scores + row * given.count : kept;
    const bool full = given.rows - row >= ROWS;
    if (full)
      compare<ROWS>(given, vectors + row * given.width, scores);
    else
      compare<1>(given, vectors + row * given.width, scores);
    const int64_t last = row + (full ? ROWS : 1);
    for (; row < last; row++, scores += given.count)
      if (found.label) keep_best(scores, given.count, row, found);
  }
}

// Writes the scores of R picked vectors for one query.
template <int R, class Number>
TARGET inline void score(const Picked& given, const void* const* vectors, const float* query, float* scores) {
  const Number* rows[R];
  for (int row = 0; row < R; row++) rows[row] = static_cast<const Number*>(vectors[row]);
  multiply<R, 1>(rows, 0, query, given.width, scores, 1);
  for (int row = 0; row < R && !given.unit; row++)
    if (const float norm = length(rows[row], given.width); norm > 0) scores[row] /= norm;
}

template <class Number>
TARGET void scan_picked_numbers(const Picked& given, float* scores) {
  const void* const* last = given.vectors + given.rows * given.count;
  const float* query = given.queries;
  for (const void* const* vectors = given.vectors; vectors < last; query += given.width)
    for (const void* const* end = vectors + given.count; vectors < end;) {
      if (end - vectors >= ROWS && std::all_of(vectors, vectors + ROWS, [](const void* one) { return one; })) {
        score<ROWS, Number>(given, vectors, query, scores);
        vectors += ROWS;
        scores += ROWS;
      } else {
        *scores = -std::numeric_limits<float>::infinity();
        if (*vectors) score<1, Number>(given, vectors, query, scores);
        vectors++;
        scores++;
      }
    }
}

TARGET void scan_those(const Picked& given, float* scores) {
  given.half ? scan_picked_numbers<uint16_t>(given, scores) : scan_picked_numbers<float>(given, scores);
}

TARGET void scan_all(const Compared& given, const Found& found) {
  given.half ? scan_numbers<uint16_t>(given, found) : scan_numbers<float>(given, found);
}

}  // namespace
