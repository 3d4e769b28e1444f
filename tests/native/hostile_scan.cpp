// Random sizes for the scans, right and wrong, built with the sanitizers for addresses and undefined behaviour.
//
//   hostile_scan FIRST LAST    runs the cases with these numbers; the first fault ends it with a message
#include <cmath>
#include <cstdio>
#include <random>

#include "../../embedstore/vectors/native/scan.h"
#include "guarded.h"

namespace {

// Returns what is wrong with a case, or nullptr.
const char* run(unsigned seed, int32_t kernel) {
  std::mt19937 random(seed);
  const auto any = [&](int first, int last) { return std::uniform_int_distribution<int>(first, last)(random); };
  const int64_t rows = any(0, 30), width = any(0, 20) ? any(1, any(0, 1) ? 20 : 400) : any(-1, 0);
  const int64_t count = any(any(0, 9) ? 1 : -1, MOST_LABELS + (any(0, 9) == 0));
  const int32_t half = any(0, 1), unit = any(0, 1);
  const bool scored = any(0, 1), told = any(0, 1) || !scored, details = told && any(0, 1);

  const size_t cells = width > 0 ? static_cast<size_t>(rows * width) : 0;
  const size_t weights = width > 0 && count > 0 ? static_cast<size_t>(count * width) : 0;
  const size_t results = count > 0 ? static_cast<size_t>(rows * count) : 0;
  const Guarded vectors(cells * (half ? 2 : 4)), labels(weights * 4), scores(results * 4), label(rows * 4),
      score(rows * 4), lead(rows * 4);
  std::normal_distribution<float> normal(0, 1);
  for (size_t i = 0; i < weights; i++) labels.numbers<float>()[i] = normal(random);
  for (size_t i = 0; i < cells; i++) {
    if (half)
      vectors.numbers<uint16_t>()[i] = static_cast<uint16_t>(any(0, 1) << 15 | any(0x3000, 0x4000));  // 0.125 to 2
    else
      vectors.numbers<float>()[i] = normal(random);
  }

  const Compared compared{vectors.numbers<void>(), labels.numbers<float>(), rows, width, count, half, unit};
  const Found found{scored ? scores.numbers<float>() : nullptr, told ? label.numbers<int32_t>() : nullptr,
                    details ? score.numbers<float>() : nullptr, details ? lead.numbers<float>() : nullptr};
  if (width > 0 && rows > 0 && count > 0) {  // any rows, each against its own label
    const Guarded addresses(static_cast<size_t>(rows * count) * sizeof(void*));
    for (int64_t i = 0; i < rows * count; i++)
      addresses.numbers<const void*>()[i] =
          any(0, 9) ? vectors.numbers<char>() + any(0, static_cast<int>(rows) - 1) * width * (half ? 2 : 4) : nullptr;
    const Guarded queries(static_cast<size_t>(rows * width) * 4), own(static_cast<size_t>(rows * count) * 4);
    for (int64_t i = 0; i < rows * width; i++) queries.numbers<float>()[i] = normal(random);
    const Picked picked{addresses.numbers<const void*>(), queries.numbers<float>(), rows, width, count, half, unit};
    if (scan_picked(kernel, &picked, own.numbers<float>())) return "picked vectors are refused";
    for (int64_t i = 0; i < rows * count; i++)
      if (std::isfinite(own.numbers<float>()[i]) != (addresses.numbers<const void*>()[i] != nullptr))
        return "a picked vector has no score, or none has one";
  }
  const bool right = width > 0 && count >= (told ? 2 : 1) && count <= MOST_LABELS;
  if (scan(kernel, &compared, &found) != !right) return "another answer than expected";
  if (!right) return nullptr;
  for (int64_t row = 0; row < rows; row++) {
    const float* own = scores.numbers<float>() + row * count;
    const int32_t best = told ? label.numbers<int32_t>()[row] : 0;
    if (best < 0 || best >= count) return "no such label";
    for (int64_t other = 0; scored && other < count; other++) {
      if (!std::isfinite(own[other])) return "a score is not finite";
      if (told && own[other] > own[best]) return "another label is better";
    }
    if (details && !(lead.numbers<float>()[row] >= 0)) return "a lead is negative";
    if (details && scored && score.numbers<float>()[row] != own[best]) return "another score than the label's";
  }
  return nullptr;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  for (unsigned seed = std::strtoul(words[1], nullptr, 10); seed < std::strtoul(words[2], nullptr, 10); seed++)
    for (int32_t kernel = SCAN_AVX2; kernel <= best_scan(); kernel++)
      if (const char* wrong = run(seed, kernel)) {
        std::fprintf(stderr, "case %u: %s\n", seed, wrong);
        return 1;
      }
  std::puts("done");
}
