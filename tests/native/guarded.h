// Memory that ends at a page that nobody may touch: what no sanitizer sees is seen by the processor.
#pragma once

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t PAGE = 4096;

// Memory whose end is the end of the last page that may be used.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes), whole_((bytes + PAGE - 1) / PAGE * PAGE + 2 * PAGE) {
    pages_ = static_cast<char*>(mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages_ == MAP_FAILED || mprotect(pages_ + PAGE, whole_ - 2 * PAGE, PROT_READ | PROT_WRITE)) std::abort();
    std::memset(pages_ + PAGE, 0xff, whole_ - 2 * PAGE);  // not a number, whatever it is read as
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
    ASAN_UNPOISON_MEMORY_REGION(pages_, whole_);
    munmap(pages_, whole_);
  }

  template <class Number>
  Number* numbers() const {
    return reinterpret_cast<Number*>(pages_ + whole_ - PAGE - bytes_);
  }

 private:
  size_t bytes_, whole_;
  char* pages_;
};

}  // namespace
