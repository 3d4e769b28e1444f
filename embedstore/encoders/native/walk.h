// The walk of some texts through all layers, and the memory that it takes.
//
//   ids -> embed -> [ query, key, value -> attend -> product + residual -> norm
//                     -> product, activation -> product + residual -> norm ] per layer -> pool
#pragma once

#include "attention.h"
#include "norms.h"
#include "products.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace {

// Rows and inner columns of a part of the feed-forward layer: what is between its two products stays in the core's
// cache, and the weights come into it once for so many rows.
constexpr int FEED = 512, INNER = 512;

// Hands out aligned pieces of the caller's workspace, or only counts them if it begins at null.
struct Pieces {
  static constexpr size_t GAP = 64;  // bytes between two pieces, which nobody uses

  char* next;
  size_t taken = 0;

  template <class Number>
  Number* take(size_t count) {
    const size_t bytes = (count * sizeof(Number) + 63) / 64 * 64;
    Number* piece = reinterpret_cast<Number*>(next);
    if (next) next += bytes + GAP;
    taken += bytes + GAP;
#if defined(__SANITIZE_ADDRESS__)
    if (next) {
      __asan_unpoison_memory_region(piece, bytes);
      __asan_poison_memory_region(next - GAP, GAP);
    }
#endif
    return piece;
  }
};

struct Workspace {
  States states, sums, attention, mixed, inner;
  Scratch scratch;
  float *products, *partial, *row, *total;
  size_t bytes;

  Workspace(const Model& model, int tokens, int longest, void* memory) {
    Pieces pieces{static_cast<char*>(memory)};
    const int rows = (tokens + 31) / 32 * 32, columns = (longest + 31) / 32 * 32;
    const int width = model.width / WIDE, heads = model.heads * (model.head / WIDE), feed = model.inner / WIDE;
    const auto blocks = [&](int height, int panels) {
      return States{pieces.take<bf16>(static_cast<size_t>(height) * panels * WIDE), BLOCK,
                    static_cast<size_t>(BLOCK) * panels};
    };
    states = blocks(rows, width);
    sums = blocks(rows, width);
    mixed = blocks(rows, heads);
    inner = blocks(FEED, feed < INNER / WIDE ? feed : INNER / WIDE);
    // Attention reads whole tiles from any row on, up to 31 rows beyond the last one. The odd number of lines keeps
    // panels from competing for the same lines of the cache.
    const size_t strip = static_cast<size_t>(rows + 33) * WIDE;
    attention = {pieces.take<bf16>(3 * heads * strip), strip, BLOCK};
    scratch.keys = pieces.take<bf16>(static_cast<size_t>(columns) * model.head);
    scratch.values = pieces.take<bf16>(static_cast<size_t>(columns) * model.head);
    for (float*& scores : scratch.scores) scores = pieces.take<float>(static_cast<size_t>(columns) * TILE);
    scratch.shares = pieces.take<bf16>(static_cast<size_t>(columns) * TILE);
    scratch.mixed = pieces.take<float>(TILE * WIDE);
    scratch.totals = pieces.take<float>(TILE * TILE);
    products = pieces.take<float>(2 * BLOCK);
    partial = pieces.take<float>(static_cast<size_t>(FEED) * model.width);
    row = pieces.take<float>(model.width);
    total = pieces.take<float>(model.width);
    bytes = pieces.taken;
  }
};

// Fills the rows from `tokens` on, which products read and nobody asks for, with zeros.
TARGET inline void clear_rest(const States& states, int tokens, int rows, int panels) {
  for (int number = 0; number < panels; number++)
    for (int row = tokens; row < rows; row++) std::memset(states.at(row, number), 0, WIDE * sizeof(bf16));
}

// Results below 2^-126 are zeros as long as it lives: shares of attention may be, and they take 100 cycles each.
struct Flushed {
  unsigned before = _mm_getcsr();

  Flushed() { _mm_setcsr(before | _MM_FLUSH_ZERO_ON); }
  ~Flushed() { _mm_setcsr(before); }
};

// The feed-forward layer with its residual, but not its norm: FEED rows at most at a time, and of these INNER inner
// columns, whose products with the outer matrix are added up.
template <class Products, class Activation>
TARGET inline void feed_forward(const Model& model, const Matrix& inner, const Matrix& outer, int rows,
                                const Workspace& space) {
  const int times = (rows + FEED - 1) / FEED, height = (rows / 32 + times - 1) / times * 32;
  for (int first = 0; first < rows; first += height) {
    const int here = rows - first < height ? rows - first : height;
    const States from = space.states.from(first), to = space.sums.from(first);
    for (int column = 0; column < model.inner; column += INNER) {
      const int left = model.inner - column, columns = left < INNER ? left : INNER;
      const Part part = column ? left <= INNER ? Part::LAST : Part::MIDDLE : left <= INNER ? Part::WHOLE : Part::FIRST;
      product<Products, Activation>(from, here, inner.columns_from(column, columns), space.inner, space.inner,
                                    space.products);
      product<Products, Residual>(space.inner, here, outer.depth_from(column, columns), from, to,
                                  part == Part::WHOLE ? space.products : space.partial, part);
    }
  }
}

template <class Products>
TARGET void walk(const Model& model, const int32_t* ids, const int32_t* lengths, int64_t texts, int tokens, int longest,
                 float* pooled, void* memory) {
  const Flushed flushed;
  const Workspace space(model, tokens, longest, memory);
  const int rows = (tokens + 31) / 32 * 32, attended = model.heads * model.head;
  clear_rest(space.states, tokens, rows, model.width / WIDE);
  clear_rest(space.mixed, tokens, rows, attended / WIDE);
  clear_rest(space.attention, rows, rows + 33, 3 * attended / WIDE);
  embed(model, ids, lengths, texts, space.states, space.row);
  for (int number = 0; number < model.layers; number++) {
    const Layer& layer = model.layer[number];
    const Matrix attention{layer.attention, 3 * attended, model.width, layer.attention_bias};
    const Matrix output{layer.attended, model.width, attended, layer.attended_bias};
    const Matrix inner{layer.inner, model.inner, model.width, layer.inner_bias};
    const Matrix outer{layer.outer, model.width, model.inner, layer.outer_bias};
    product<Products, Plain>(space.states, rows, attention, space.attention, space.attention, space.products);
    int start = 0;
    for (int64_t text = 0; text < texts; start += lengths[text++])
      attend<Products>(model, space.attention, start, lengths[text], space.mixed, space.scratch);
    product<Products, Residual>(space.mixed, rows, output, space.states, space.sums, space.products);
    normalise_all(space.sums, space.states, tokens, model, layer.first_norm_weight, layer.first_norm_bias, space.row);
    if (model.activation == ACTIVATION_RELU)
      feed_forward<Products, Relu>(model, inner, outer, rows, space);
    else
      feed_forward<Products, Gelu>(model, inner, outer, rows, space);
    if (number + 1 < model.layers)
      normalise_all(space.sums, space.states, tokens, model, layer.second_norm_weight, layer.second_norm_bias,
                    space.row);
    else
      pool(model, space.sums, lengths, texts, layer.second_norm_weight, layer.second_norm_bias, pooled, space.row,
           space.total);
  }
}

}  // namespace
