// What each kernel offers: a scan whose sizes have been checked.
#pragma once

#include "scan.h"

using Scan = void (*)(const Compared& given, const Found& found);

extern const Scan scan_avx2, scan_avx512;
