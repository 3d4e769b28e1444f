// The C interface: which kernel this processor has, and the checks before a scan.
#include "kernel.h"

namespace {

int32_t find_kernel() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return SCAN_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    return SCAN_AVX2;
#endif
  return SCAN_NONE;
}

bool is_here(int32_t kernel) { return kernel > SCAN_NONE && kernel <= best_scan(); }

#if defined(__x86_64__)
const Scans& scans(int32_t kernel) { return kernel == SCAN_AVX512 ? avx512_scans : avx2_scans; }
#endif

}  // namespace

extern "C" {

int32_t best_scan(void) {
  static const int32_t found = find_kernel();
  return found;
}

int32_t scan(int32_t kernel, const Compared* compared, const Found* found) {
  const Compared& given = *compared;
  const int64_t least = found->label ? 2 : 1;  // the best label has a lead over another
  if (!is_here(kernel) || given.rows < 0 || given.width < 1 || given.count < least || given.count > MOST_LABELS)
    return 1;
#if defined(__x86_64__)
  scans(kernel).all(given, *found);
#endif
  return 0;
}

int32_t scan_picked(int32_t kernel, const Picked* picked, float* scores) {
  if (!is_here(kernel) || picked->rows < 0 || picked->width < 1 || picked->count < 0) return 1;
#if defined(__x86_64__)
  scans(kernel).picked(*picked, scores);
#endif
  return 0;
}
}
