// What each kernel offers: a walk of checked texts through the model.
#pragma once

#include "kernels.h"

using Walk = void (*)(const Model& model, const int32_t* ids, const int32_t* lengths, int64_t texts, int tokens,
                      int longest, float* pooled, void* memory);

extern const Walk tiles_walk, pairs_walk;
extern int64_t workspace_of(const Model& model, int tokens, int longest);
