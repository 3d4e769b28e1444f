// The C interface: which kernel this processor has, the packing of weights, and the checks before a walk.
#include <algorithm>
#include <cstring>

#include "kernel.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int64_t MOST_TOKENS = 1 << 20;  // of one call; all sizes inside fit int32

#if defined(__x86_64__) && defined(__linux__)
constexpr long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;  // arch_prctl(2)

int32_t find_kernel() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return KERNEL_NONE;
  unsigned a, b, c, d;
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
  const bool tiles = (d >> 22 & 1) && (d >> 24 & 1);  // AMX-BF16 and AMX-TILE
  // The system gives the larger registers of a thread only to those that ask.
  return tiles && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 ? KERNEL_TILES : KERNEL_PAIRS;
}
#else
int32_t find_kernel() { return KERNEL_NONE; }
#endif

bf16 rounded(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return static_cast<bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

bool fits(const Model& model) {
  const auto whole = [](int32_t number) { return number > 0 && number % 32 == 0 && number <= 1 << 16; };
  return model.layers > 0 && model.heads > 0 && model.heads <= 1 << 10 && whole(model.head) && whole(model.width) &&
         whole(model.inner) && model.used > 0 && model.used <= model.width && model.vocabulary > 0 &&
         model.places > 0 && model.padding >= -1 && model.padding < model.places && model.reach >= 0;
}

// Returns what is wrong with a text.
Fault check(const Model& model, const int32_t* ids, int32_t length) {
  int32_t counted = 0;
  for (int32_t token = 0; token < length; token++) {
    if (ids[token] < 0 || ids[token] >= model.vocabulary) return FAULT_TOKEN;
    counted += ids[token] != model.padding;
  }
  const bool far = model.reach && (length + 31) / 32 * 32 > model.reach;
  return counted + model.padding >= model.places || far ? FAULT_LENGTH : FAULT_NONE;
}

}  // namespace

extern "C" {

int32_t best_kernel(void) {
  static const int32_t found = find_kernel();
  return found;
}

void pack(const float* weights, int64_t columns, int64_t depth, bf16* packed) {
  for (int64_t panel = 0; panel < columns; panel += 32)
    for (int64_t step = 0; step < depth; step += 32)
      for (int64_t tile = panel; tile < panel + 32; tile += 16)
        for (int64_t pair = step; pair < step + 32; pair += 2)
          for (int64_t column = tile; column < tile + 16; column++, packed += 2) {
            packed[0] = rounded(weights[column * depth + pair]);
            packed[1] = rounded(weights[column * depth + pair + 1]);
          }
}

int64_t workspace_bytes(const Model* model, int64_t tokens, int64_t longest) {
#if defined(__x86_64__)
  if (fits(*model) && tokens > 0 && tokens <= MOST_TOKENS && longest > 0 && longest <= tokens)
    return workspace_of(*model, static_cast<int>(tokens), static_cast<int>(longest));
#endif
  return -1;
}

int32_t encode(const Model* model, int32_t kernel, const int32_t* ids, int64_t tokens, const int32_t* lengths,
               int64_t texts, float* pooled, void* workspace, int64_t bytes) {
  if (!fits(*model)) return FAULT_MODEL;
  int64_t told = 0, longest = 0;
  for (int64_t text = 0; text < texts; text++) {
    if (lengths[text] < 1 || lengths[text] > tokens - told) return FAULT_LENGTH;
    told += lengths[text];
    longest = std::max<int64_t>(longest, lengths[text]);
  }
  if (told != tokens || tokens > MOST_TOKENS) return FAULT_LENGTH;
  for (int64_t text = 0, first = 0; text < texts; first += lengths[text++])
    if (const Fault fault = check(*model, ids + first, lengths[text])) return fault;
  if (kernel < KERNEL_PAIRS || kernel > best_kernel()) return FAULT_KERNEL;
  if (texts == 0) return FAULT_NONE;
  if (workspace_bytes(model, tokens, longest) > bytes) return FAULT_WORKSPACE;
#if defined(__x86_64__)
  const Walk walk = kernel == KERNEL_TILES ? tiles_walk : pairs_walk;
  walk(*model, ids, lengths, texts, static_cast<int>(tokens), static_cast<int>(longest), pooled, workspace);
#endif
  return FAULT_NONE;
}
}
