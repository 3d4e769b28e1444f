// The C interface: stored vectors against a few labels or queries, in one pass over the vectors.
//
// One call works on the calling thread. It allocates nothing, locks nothing and keeps nothing.
#pragma once

#include <cstdint>

extern "C" {

enum ScanKernel { SCAN_NONE = 0, SCAN_AVX2 = 1, SCAN_AVX512 = 2 };

constexpr int64_t MOST_LABELS = 32;

// `rows` vectors, one after the other, and the `count` labels to compare them with.
struct Compared {
  const void* vectors;  // (rows, width) float32, or float16 if `half` is not 0
  const float* labels;  // (count, width)
  int64_t rows, width, count;
  int32_t half;
  int32_t unit;  // not 0 if all vectors have unit length; if not, their scores are divided by their length
};

// What is written; an address may be null, except that of `label` if there is `score` or `lead`.
struct Found {
  float* scores;   // (rows, count): the similarity to each label
  int32_t* label;  // (rows): the label with the highest score, the first of equals
  float* score;    // (rows): its score
  float* lead;     // (rows): its score less that of the second best
};

// Some stored vectors for each query.
struct Picked {
  const void* const* vectors;  // (queries, count) addresses of vectors of `width` float32 or float16; null for none
  const float* queries;        // (queries, width)
  int64_t rows, width, count;  // `rows` is the number of queries
  int32_t half, unit;          // as in Compared
};

// Returns the best kernel of this processor.
int32_t best_scan(void);

// Compares; returns 0, or 1 if the sizes or the kernel are not such that it can.
int32_t scan(int32_t kernel, const struct Compared* compared, const struct Found* found);

// Writes the scores (queries, count) of picked vectors, minus infinity where there is none; returns what `scan`
// returns.
int32_t scan_picked(int32_t kernel, const struct Picked* picked, float* scores);
}
