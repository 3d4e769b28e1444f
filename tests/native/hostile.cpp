// Random models and texts for the kernels, built with the sanitizers for addresses and undefined behaviour.
//
//   hostile FIRST LAST    runs the cases with these numbers; the first fault ends it with a message and the case's
//   number
//
// Each array ends at a page that nobody may touch: tiles are loaded and stored by instructions that no sanitizer sees.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "../../embedstore/encoders/native/kernels.h"
#include "guarded.h"

namespace {

class Case {
 public:
  explicit Case(unsigned seed) : random_(seed), seed_(seed) {
    model_.layers = any(1, 2);
    model_.heads = any(1, 4);
    model_.head = 32 * any(1, 3);
    model_.width = 32 * any(1, 5);
    model_.used = model_.width - any(0, 31);
    model_.inner = 32 * any(1, any(0, 3) ? 6 : 40);
    model_.vocabulary = any(1, 50);
    model_.places = any(2, 150);
    model_.padding = any(-1, 1);
    model_.reach = any(0, 1) * 32 * any(1, 5);
    model_.activation = any(0, 1);
    model_.pooling = any(0, 2);
    model_.epsilon = 1e-12f;
    model_.words = floats(static_cast<size_t>(model_.vocabulary) * model_.used);
    model_.positions = floats(static_cast<size_t>(model_.places) * model_.used);
    model_.norm_weight = filled();
    model_.norm_bias = filled();
    model_.distances = model_.reach ? floats(2 * static_cast<size_t>(model_.heads) * model_.reach) : nullptr;
    const int attended = model_.heads * model_.head;
    for (int number = 0; number < model_.layers; number++) {
      Layer layer{};
      layer.attention = packed(3 * attended, model_.width);
      layer.attended = packed(model_.width, attended);
      layer.inner = packed(model_.inner, model_.width);
      layer.outer = packed(model_.width, model_.inner);
      layer.attention_bias = floats(3 * attended);
      layer.inner_bias = floats(model_.inner);
      layer.attended_bias = filled();
      layer.outer_bias = filled();
      layer.first_norm_weight = filled();
      layer.first_norm_bias = filled();
      layer.second_norm_weight = filled();
      layer.second_norm_bias = filled();
      layers_.push_back(layer);
    }
    model_.layer = layers_.data();
  }

  void run(int kernel) {
    std::vector<int32_t> ids, lengths;
    for (int text = any(1, 9); text > 0; text--) {
      const int most = model_.places - model_.padding - 1;  // if no token is padding
      lengths.push_back(any(0, 4) ? any(1, any(0, 3) ? 40 : 160) : most + any(most > 1 ? -1 : 0, 1));
      for (int token = 0; token < lengths.back(); token++) ids.push_back(any(0, model_.vocabulary - 1));
    }
    if (any(0, 9) == 0) ids[any(0, static_cast<int>(ids.size()) - 1)] = any(0, 1) ? model_.vocabulary : -1;
    if (any(0, 9) == 0) lengths[any(0, static_cast<int>(lengths.size()) - 1)] += any(-200, 200);
    const int32_t fault = expected(ids, lengths);
    std::vector<float> together(lengths.size() * model_.used);
    if (encoded(kernel, ids, lengths, together.data()) != fault) fail("another fault than expected");
    if (fault) return;
    size_t first = 0;
    for (size_t text = 0; text < lengths.size(); first += lengths[text++]) {
      std::vector<float> alone(model_.used);
      const std::vector<int32_t> own(ids.begin() + first, ids.begin() + first + lengths[text]);
      if (encoded(kernel, own, {lengths[text]}, alone.data())) fail("a text is refused alone");
      if (std::memcmp(alone.data(), together.data() + text * model_.used, alone.size() * sizeof(float)))
        fail("a text has another vector beside others");
      for (const float number : alone)
        if (!std::isfinite(number)) fail("a vector is not finite");
    }
  }

 private:
  int any(int first, int last) { return std::uniform_int_distribution<int>(first, last)(random_); }

  template <class Number>
  Number* memory(size_t count) {
    kept_.push_back(std::make_unique<Guarded>(count * sizeof(Number)));
    return kept_.back()->numbers<Number>();
  }

  float* floats(size_t count) {
    std::normal_distribution<float> normal(0, 0.2f);
    float* numbers = memory<float>(count);
    for (size_t i = 0; i < count; i++) numbers[i] = normal(random_);
    return numbers;
  }

  // Zeros from `used` on, as the caller promises.
  float* filled() {
    float* numbers = floats(model_.width);
    for (int column = model_.used; column < model_.width; column++) numbers[column] = 0;
    return numbers;
  }

  bf16* packed(int columns, int depth) {
    const float* matrix = floats(static_cast<size_t>(columns) * depth);
    bf16* numbers = memory<bf16>(static_cast<size_t>(columns) * depth);
    pack(matrix, columns, depth, numbers);
    return numbers;
  }

  int32_t expected(const std::vector<int32_t>& ids, const std::vector<int32_t>& lengths) const {
    size_t told = 0;
    for (const int32_t length : lengths) {
      if (length < 1 || told + length > ids.size()) return FAULT_LENGTH;
      told += length;
    }
    if (told != ids.size()) return FAULT_LENGTH;
    size_t token = 0;
    for (const int32_t length : lengths) {
      int counted = 0;
      for (const size_t end = token + length; token < end; token++) {
        if (ids[token] < 0 || ids[token] >= model_.vocabulary) return FAULT_TOKEN;
        counted += ids[token] != model_.padding;
      }
      if (counted + model_.padding >= model_.places || (model_.reach && length > model_.reach)) return FAULT_LENGTH;
    }
    return FAULT_NONE;
  }

  int32_t encoded(int kernel, const std::vector<int32_t>& ids, const std::vector<int32_t>& lengths, float* vectors) {
    const Guarded own(ids.size() * 4), sizes(lengths.size() * 4), pooled(lengths.size() * model_.used * 4);
    std::memcpy(own.numbers<int32_t>(), ids.data(), ids.size() * 4);
    std::memcpy(sizes.numbers<int32_t>(), lengths.data(), lengths.size() * 4);
    int64_t longest = 1;
    for (const int32_t length : lengths) longest = length > longest ? length : longest;
    const int64_t tokens = static_cast<int64_t>(ids.size());
    const int64_t bytes = workspace_bytes(&model_, tokens, longest < tokens ? longest : tokens);
    const Guarded space(bytes);
    const int32_t fault =
        encode(&model_, kernel, own.numbers<int32_t>(), tokens, sizes.numbers<int32_t>(),
               static_cast<int64_t>(lengths.size()), pooled.numbers<float>(), space.numbers<char>(), bytes);
    std::memcpy(vectors, pooled.numbers<float>(), lengths.size() * model_.used * 4);
    return fault;
  }

  [[noreturn]] void fail(const char* what) const {
    std::fprintf(stderr, "case %u: %s\n", seed_, what);
    std::exit(1);
  }

  std::mt19937 random_;
  unsigned seed_;
  Model model_{};
  std::vector<Layer> layers_;
  std::vector<std::unique_ptr<Guarded>> kept_;
};

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  for (unsigned seed = std::strtoul(words[1], nullptr, 10); seed < std::strtoul(words[2], nullptr, 10); seed++)
    for (int kernel = KERNEL_PAIRS; kernel <= best_kernel(); kernel++) Case(seed).run(kernel);
  std::puts("done");
}
