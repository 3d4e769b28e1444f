// The C interface: a transformer encoder of BERT's kind, in bfloat16, on the processors that multiply it fast.
//
// One call encodes some texts on the calling thread. It allocates nothing, locks nothing and keeps nothing: the caller
// owns the weights, the workspace and the result, so any number of threads can share one model.
#pragma once

#include <cstdint>

extern "C" {

typedef uint16_t bf16;  // the upper half of a float32

// What can go wrong. `encode` checks all of its input before it computes.
enum Fault {
  FAULT_NONE = 0,
  FAULT_TOKEN = 1,      // a token number that the model does not know
  FAULT_LENGTH = 2,     // a text without tokens, or with more than the model has positions for
  FAULT_WORKSPACE = 3,  // too small
  FAULT_KERNEL = 4,     // this processor does not have it
  FAULT_MODEL = 5,      // sizes that do not belong together
};

enum Kernel { KERNEL_NONE = 0, KERNEL_PAIRS = 1, KERNEL_TILES = 2 };  // AVX512-BF16, and AMX
enum Activation { ACTIVATION_GELU = 0, ACTIVATION_RELU = 1 };
enum Pooling { POOLING_MEAN = 0, POOLING_CLS = 1, POOLING_MAX = 2 };

// Matrices are packed by `pack`; a bias has one number for each column of the packed matrix.
struct Layer {
  const bf16 *attention, *attended, *inner, *outer;  // query, key and value side by side; then the three others
  const float *attention_bias, *attended_bias, *inner_bias, *outer_bias;
  const float *first_norm_weight, *first_norm_bias, *second_norm_weight, *second_norm_bias;
};

// `width`, `inner` and `head` are multiples of 32; what a checkpoint has less is filled with zeros.
struct Model {
  int32_t layers, heads;
  int32_t head;        // columns of a head
  int32_t width;       // columns of a hidden state
  int32_t used;        // columns of a hidden state that are not filling
  int32_t inner;       // columns inside a feed-forward layer
  int32_t vocabulary;  // rows of `words`
  int32_t places;      // rows of `positions`
  int32_t padding;     // tokens with this number are not counted by positions; -1 if all are
  int32_t reach;       // distances in `distances`: -reach to reach - 1; 0 if there are none
  int32_t activation, pooling;
  float epsilon;                         // of layer norms
  const float* words;                    // (vocabulary, used)
  const float* positions;                // (places, used)
  const float *norm_weight, *norm_bias;  // (width) of the embeddings
  const float* distances;                // (heads, 2 * reach): added to attention scores, in units of log2
  const struct Layer* layer;             // (layers)
};

// Returns the best kernel of this processor, after asking the system for leave to use it.
int32_t best_kernel(void);

// Packs a matrix (columns, depth), both multiples of 32, into as many bf16 numbers at an address of 64 bytes.
void pack(const float* weights, int64_t columns, int64_t depth, bf16* packed);

// Returns the bytes that `encode` needs for texts of so many tokens together, the longest of which has `longest`.
int64_t workspace_bytes(const struct Model* model, int64_t tokens, int64_t longest);

// Encodes texts: `ids` has the numbers of all their tokens, one text after the other. `pooled` is (texts, used)
// float32; `workspace` begins at an address of 64 bytes. Returns a `Fault`.
int32_t encode(const struct Model* model, int32_t kernel, const int32_t* ids, int64_t tokens, const int32_t* lengths,
               int64_t texts, float* pooled, void* workspace, int64_t bytes);
}
