// What each kernel offers: scans whose sizes have been checked.
#pragma once

#include "scan.h"

struct Scans {
  void (*all)(const Compared& given, const Found& found);
  void (*picked)(const Picked& given, float* scores);
};

extern const Scans avx2_scans, avx512_scans;
